package brantas.token;

import brantas.settings.BrantasException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// Any other split pattern, run by the JDK with Unicode classes: matches are pieces, and so is what
/// lies between them. A pattern comes from a file and may backtrack without end, so the characters
/// it looks at are counted.
final class RegexSplitter implements Splitter {
    private static final long LOOKS_AT_LEAST = 1_000_000;
    private static final long LOOKS_PER_CHARACTER = 200;

    private final Pattern pattern;

    RegexSplitter(String pattern) {
        this.pattern = Pattern.compile(pattern, Pattern.UNICODE_CHARACTER_CLASS);
    }

    @Override
    public void split(String text, Sink sink) {
        long budget = LOOKS_AT_LEAST + LOOKS_PER_CHARACTER * text.length();
        Matcher matcher = pattern.matcher(new Metered(text, new long[] {budget}));
        int at = 0;
        while (found(matcher)) {
            emit(text, at, matcher.start(), sink);
            emit(text, matcher.start(), matcher.end(), sink);
            at = matcher.end();
        }
        emit(text, at, text.length(), sink);
    }

    private static void emit(String text, int start, int end, Sink sink) {
        if (end > start) {
            sink.piece(text, start, end);
        }
    }

    private boolean found(Matcher matcher) {
        try {
            return matcher.find();
        } catch (StackOverflowError | OutOfLooks e) {
            throw new BrantasException(
                    "The split pattern of tokenizer.json needs too many steps on this text ("
                            + pattern
                            + "); use the model's own tokenizer.json.",
                    e);
        }
    }

    /// Thrown when the budget is used up; carries nothing.
    private static final class OutOfLooks extends RuntimeException {
        private static final long serialVersionUID = 1L;

        private OutOfLooks() {
            super(null, null, false, false);
        }
    }

    /// The text, with each character read taken off the budget.
    private record Metered(String text, long[] budget) implements CharSequence {
        @Override
        public int length() {
            return text.length();
        }

        @Override
        public char charAt(int index) {
            if (--budget[0] < 0) {
                throw new OutOfLooks();
            }
            return text.charAt(index);
        }

        @Override
        public CharSequence subSequence(int start, int end) {
            return text.subSequence(start, end);
        }

        @Override
        public String toString() {
            return text;
        }
    }
}
