package brantas.op;

/// The norm weights of queries and keys, zero-centred.
///
/// @param query `[headDim]`
/// @param key `[headDim]`
public record AttentionNorms(Weight query, Weight key) {}
