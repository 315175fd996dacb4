package brantas.token;

import java.text.Normalizer;
import java.util.Arrays;
import java.util.regex.Pattern;

/// Normal form C as of Unicode 9.0, which is what the reference does (model notes section 8.1):
/// characters that came later neither compose nor reorder. The JDK's normaliser is newer, so it is
/// given only stretches of characters that Unicode 9.0 knew; whatever lies between them is a
/// character that stands by itself in every version. Long runs of marks are put in order here
/// first, because the JDK needs quadratic time for them.
final class Nfc {
    // Below this every character is in normal form wherever it stands.
    private static final int FIRST_TOUCHED = 0x300;

    /// Pairs first-last, in hexadecimal: ranges of characters assigned in Unicode 9.0 that between
    /// them hold every one that decomposes, composes, or has a combining class.
    private static final String KNOWN_RANGES =
            """
            3B-374 37E-37E 385-38A 38C-38C 38E-3A1 3A5-4F9 591-5C7 5D0-5EA 5F2-5F2 610-61A
            622-6ED 711-74A 7EB-7F3 816-82D 859-85B 8D4-95F 9A1-9A2 9AF-9AF 9BC-9BE 9C7-9C7
            9CB-9CD 9D7-9D7 9DC-9DD 9DF-9DF A16-A1C A2B-A2B A32-A33 A36-A36 A38-A38 A3C-A3C
            A4D-A4D A59-A5B A5E-A5E ABC-ABC ACD-ACD B21-B22 B3C-B3E B47-B48 B4B-B4D B56-B57
            B5C-B5D B92-B94 BBE-BBE BC6-BC7 BCA-BCD BD7-BD7 C46-C48 C4D-C4D C55-C56 CBC-CC2
            CC6-CC8 CCA-CCD CD5-CD6 D3E-D3E D46-D47 D4A-D4D D57-D57 DCA-DCA DCF-DCF DD9-DDF
            E38-E3A E48-E4B EB8-EB9 EC8-ECB F18-F43 F4C-F69 F71-F93 F9C-FB9 FC6-FC6
            1025-108D 1100-11FF 135D-135F 1714-1714 1734-1734 17D2-17DD 18A9-18A9 1939-193B
            1A17-1A18 1A60-1A7C 1A7F-1A7F 1AB0-1ABD 1B05-1B44 1B6B-1B73 1BAA-1BF3 1C37-1C37
            1CD0-1CF4 1CF8-1CF9 1DC0-1DF5 1DFB-1F15 1F18-1F1D 1F20-1F45 1F48-1F4D 1F50-1F57
            1F59-1F59 1F5B-1F5B 1F5D-1F5D 1F5F-1F7D 1F80-1FB4 1FB6-1FC4 1FC6-1FD3 1FD6-1FDB
            1FDD-1FEF 1FF2-1FF4 1FF6-1FFE 2000-2003 20D0-20F0 2126-212B 2190-232A 2ADC-2ADD
            2CEF-2CF1 2D7F-2D7F 2DE0-2DFF 3008-302F 3046-3094 3099-30FE 349E-4D56 4E0D-9F9C
            A66F-A6F1 A806-A806 A8C4-A8C4 A8E0-A8F1 A92B-A953 A9B3-A9C0 AAB0-AAC1 AAF6-AAF6
            ABED-ABED AC00-D7A3 F900-FA6D FA70-FAD9 FB1D-FB36 FB38-FB3C FB3E-FB3E FB40-FB41
            FB43-FB44 FB46-FB4E FE20-FE2F 101FD-101FD 102E0-102E0 10376-1037A 10A0D-10A0F
            10A38-10A3A 10A3F-10A3F 10AE5-10AE6 11046-11046 1107F-110BA 11100-11134
            11173-11173 111C0-111CA 11235-11236 112E9-112EA 1133C-1133E 11347-11347
            1134B-1134D 11357-11357 11366-1136C 11370-11374 11442-11446 114B0-114C3
            115AF-115AF 115B8-115C0 1163F-1163F 116B6-116B7 1172B-1172B 11C3F-11C3F
            16AF0-16AF4 16B30-16B36 1BC9E-1BC9E 1D157-1D1C0 1D242-1D244 1E000-1E006
            1E008-1E018 1E01B-1E021 1E023-1E024 1E026-1E02A 1E8D0-1E8D6 1E944-1E94A
            20122-2A600 2F800-2FA1D
            """;

    private static final int[] KNOWN = bounds(KNOWN_RANGES);

    private Nfc() {}

    /// `text`, which has no lone surrogates, in normal form; the same object if nothing changes.
    static String of(String text) {
        int at = 0;
        while (at < text.length() && text.charAt(at) < FIRST_TOUCHED) {
            at++;
        }
        if (at == text.length()) {
            return text;
        }
        StringBuilder out = new StringBuilder(text.length() + 16);
        at = 0;
        while (at < text.length()) {
            int end = stretch(text, at, true);
            out.append(normal(text.substring(at, end)));
            at = stretch(text, end, false);
            out.append(text, end, at);
        }
        return out.compareTo(new StringBuilder(text)) == 0 ? text : out.toString();
    }

    private static String normal(String text) {
        String ordered = MarkOrder.settle(text);
        return Normalizer.isNormalized(ordered, Normalizer.Form.NFC)
                ? ordered
                : Normalizer.normalize(ordered, Normalizer.Form.NFC);
    }

    /// The end of the stretch from `at` of characters that are known, or that are not.
    private static int stretch(String text, int at, boolean known) {
        int i = at;
        while (i < text.length()) {
            int c = text.codePointAt(i);
            if (isKnown(c) != known) {
                break;
            }
            i += Character.charCount(c);
        }
        return i;
    }

    private static boolean isKnown(int c) {
        if (c < FIRST_TOUCHED) {
            return true;
        }
        int found = Arrays.binarySearch(KNOWN, c);
        // KNOWN alternates between first and one past last: an even index is a first, and an odd
        // insertion point, which is -found - 1, lies inside.
        return (found & 1) == 0;
    }

    private static int[] bounds(String ranges) {
        int[] bounds =
                Pattern.compile("[-\\s]+")
                        .splitAsStream(ranges.strip())
                        .mapToInt(hex -> Integer.parseInt(hex, 16))
                        .toArray();
        for (int i = 1; i < bounds.length; i += 2) {
            bounds[i]++;
        }
        return bounds;
    }
}
