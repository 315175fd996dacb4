package brantas.vocabulary;

/// A token that is matched as a whole in the text instead of being built from bytes: a control
/// token such as `<|im_end|>`, or a word that a fine-tune added. Not the rule for matching it; that
/// is the tokenizer's.
///
/// @param id token id
/// @param content the text it stands for, never empty
/// @param special true if a decoder that skips special tokens leaves it out
/// @param normalized true if it is matched in normalised text, after all others
public record AddedToken(int id, String content, boolean special, boolean normalized) {}
