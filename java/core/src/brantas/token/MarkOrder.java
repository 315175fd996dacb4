package brantas.token;

import java.text.Normalizer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/// Puts long runs of combining marks into canonical order in linear time, which leaves the meaning
/// of the text, and so its normal form, as it is. Combining classes are not in the JDK's interface;
/// they are found by asking its normaliser which of two marks it puts first. Ordinary text has no
/// such runs and passes through.
final class MarkOrder {
    /// Runs up to this many UTF-16 units are left to the normaliser.
    private static final int SHORT = 32;

    /// The mark of the highest combining class: every other mark that has a class moves before it.
    private static final String LAST = "\u0345";

    private final StringBuilder out;
    // The marks that each mark decomposes into.
    private final Map<Integer, int[]> parts = new HashMap<>();
    private final Map<Integer, Boolean> moves = new HashMap<>();

    private MarkOrder(int length) {
        out = new StringBuilder(length + 16);
    }

    /// `text` with its long runs of marks in order.
    static String settle(String text) {
        MarkOrder order = null;
        int copied = 0;
        int at = 0;
        while (at < text.length()) {
            int end = run(text, at);
            if (end - at > SHORT) {
                order = order == null ? new MarkOrder(text.length()) : order;
                order.out.append(text, copied, at);
                order.sort(text, at, end);
                copied = end;
            }
            at = Math.max(end, at + 1);
        }
        return order == null ? text : order.out.append(text, copied, text.length()).toString();
    }

    /// The end of the run of marks that begins at `at`.
    private static int run(String text, int at) {
        int i = at;
        while (i < text.length()) {
            char unit = text.charAt(i);
            int c = unit < 0x300 ? unit : text.codePointAt(i);
            if (c < 0x300 || CharClass.of(c) != CharClass.MARK) {
                break;
            }
            i += Character.charCount(c);
        }
        return i;
    }

    private void sort(String text, int start, int end) {
        int[] marks = new int[3 * (end - start)];
        int count = 0;
        for (int i = start; i < end; ) {
            int mark = text.codePointAt(i);
            i += Character.charCount(mark);
            int[] of = parts.computeIfAbsent(mark, m -> decomposed(Character.toString(m)));
            if (count + of.length > marks.length) {
                marks = Arrays.copyOf(marks, 2 * marks.length);
            }
            System.arraycopy(of, 0, marks, count, of.length);
            count += of.length;
        }
        int at = 0;
        while (at < count) {
            int first = at;
            while (at < count && moves.computeIfAbsent(marks[at], MarkOrder::hasClass)) {
                at++;
            }
            appendSorted(marks, first, at);
            if (at < count) {
                out.appendCodePoint(marks[at++]);
            }
        }
    }

    /// Appends marks that all have a class, those of equal class in the order they came.
    private void appendSorted(int[] marks, int start, int end) {
        Map<Integer, Integer> classes = new HashMap<>();
        int[] sizes = new int[2];
        if (end - start > 1) {
            sizes = classify(marks, start, end, classes);
        }
        int[] sorted = new int[end - start];
        for (int i = start; i < end; i++) {
            sorted[sizes[classes.getOrDefault(marks[i], 0)]++] = marks[i];
        }
        for (int mark : sorted) {
            out.appendCodePoint(mark);
        }
    }

    /// Numbers the classes in order, and answers where each begins in the sorted run.
    private static int[] classify(int[] marks, int start, int end, Map<Integer, Integer> classes) {
        for (int i = start; i < end; i++) {
            classes.put(marks[i], 0);
        }
        List<Integer> distinct = new ArrayList<>(classes.keySet());
        distinct.sort(MarkOrder::compare);
        int last = 0;
        for (int i = 0; i < distinct.size(); i++) {
            boolean above = i > 0 && compare(distinct.get(i - 1), distinct.get(i)) < 0;
            last += above ? 1 : 0;
            classes.put(distinct.get(i), last);
        }
        int[] begins = new int[last + 2];
        for (int i = start; i < end; i++) {
            begins[classes.getOrDefault(marks[i], 0) + 1]++;
        }
        for (int i = 1; i < begins.length; i++) {
            begins[i] += begins[i - 1];
        }
        return begins;
    }

    private static int compare(int a, int b) {
        if (swaps(a, b)) {
            return 1;
        }
        return swaps(b, a) ? -1 : 0;
    }

    private static boolean swaps(int first, int second) {
        return first != second
                && decomposed(Character.toString(first) + Character.toString(second))[0] == second;
    }

    private static boolean hasClass(int mark) {
        return mark == LAST.codePointAt(0) || swaps(LAST.codePointAt(0), mark);
    }

    private static int[] decomposed(String text) {
        return Normalizer.normalize(text, Normalizer.Form.NFD).codePoints().toArray();
    }
}
