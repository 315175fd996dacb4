package brantas.token;

/// Cuts a normalised text into the pieces that are encoded one by one. The file's pattern decides;
/// one pattern has a scanner of its own, and any other runs as a regular expression.
sealed interface Splitter permits FamilySplitter, RegexSplitter {
    /// Takes the pieces in order; together they are the text.
    @FunctionalInterface
    interface Sink {
        /// The piece of `text` from `start` to before `end`, never empty.
        void piece(String text, int start, int end);
    }

    /// Hands the pieces of `text`, which has no lone surrogates, to `sink`.
    void split(String text, Sink sink);

    /// The splitter for `pattern`, a regular expression.
    static Splitter of(String pattern) {
        return pattern.equals(FamilySplitter.PATTERN)
                ? new FamilySplitter()
                : new RegexSplitter(pattern);
    }
}
