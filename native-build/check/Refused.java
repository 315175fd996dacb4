/// What keeps the evidence from being read at all: one sentence that names the file and the remedy.
/// Violations of budgets are no such thing; those are collected and shown together.
final class Refused extends RuntimeException {
    private static final long serialVersionUID = 1;

    Refused(String sentence, Object... parts) {
        super(sentence.formatted(parts));
    }
}
