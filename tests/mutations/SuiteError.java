/// Something is wrong with the suite, not with what it tests.
final class SuiteError extends RuntimeException {
    private static final long serialVersionUID = 1L;

    SuiteError(String message) {
        super(message);
    }
}
