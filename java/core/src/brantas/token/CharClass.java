package brantas.token;

/// The classes of code points that the family's split pattern tells apart: `\p{L}`, `\p{M}`,
/// `\p{N}`, line ends, other `\s` (the White_Space property), and the rest. Letters, marks and
/// numbers are those of the running JDK (Unicode 16 in JDK 25).
final class CharClass {
    static final byte OTHER = 0;
    static final byte LETTER = 1;
    static final byte MARK = 2;
    static final byte NUMBER = 3;
    static final byte SPACE = 4;
    static final byte LINE_END = 5;

    private static final byte[] PLANE_0 = plane0();

    private CharClass() {}

    static byte of(int codePoint) {
        return codePoint < PLANE_0.length ? PLANE_0[codePoint] : compute(codePoint);
    }

    private static byte[] plane0() {
        byte[] classes = new byte[1 << 16];
        for (int c = 0; c < classes.length; c++) {
            classes[c] = compute(c);
        }
        return classes;
    }

    private static byte compute(int c) {
        return switch (Character.getType(c)) {
            case Character.UPPERCASE_LETTER,
                    Character.LOWERCASE_LETTER,
                    Character.TITLECASE_LETTER,
                    Character.MODIFIER_LETTER,
                    Character.OTHER_LETTER ->
                    LETTER;
            case Character.NON_SPACING_MARK,
                    Character.ENCLOSING_MARK,
                    Character.COMBINING_SPACING_MARK ->
                    MARK;
            case Character.DECIMAL_DIGIT_NUMBER, Character.LETTER_NUMBER, Character.OTHER_NUMBER ->
                    NUMBER;
            case Character.SPACE_SEPARATOR,
                    Character.LINE_SEPARATOR,
                    Character.PARAGRAPH_SEPARATOR ->
                    SPACE;
            default -> control(c);
        };
    }

    private static byte control(int c) {
        return switch (c) {
            case '\r', '\n' -> LINE_END;
            case '\t', 0x0B, '\f', 0x85 -> SPACE;
            default -> OTHER;
        };
    }
}
