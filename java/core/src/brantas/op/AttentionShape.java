package brantas.op;

/// Sizes of a gated attention layer (spec 3).
///
/// The projected row is `[heads × (query headDim, gate headDim) | key kvHeads × headDim | value
/// kvHeads × headDim]`.
///
/// @param heads query heads
/// @param kvHeads key and value heads; query head `h` reads KV head `h / (heads / kvHeads)`
/// @param headDim values of one head
/// @param rotaryDim leading channels of a head that rotate
/// @param eps of the query and key norms
public record AttentionShape(int heads, int kvHeads, int headDim, int rotaryDim, float eps) {
    /// Width of the concatenated heads.
    public int width() {
        return heads * headDim;
    }

    /// Width of a projected row.
    public int projected() {
        return 2 * heads * headDim + 2 * kvHeads * headDim;
    }

    /// First column of query head `h` in a projected row.
    public int query(int h) {
        return 2 * h * headDim;
    }

    /// First column of the output gate of head `h` in a projected row.
    public int gate(int h) {
        return (2 * h + 1) * headDim;
    }

    /// First column of key head `g` in a projected row.
    public int key(int g) {
        return 2 * heads * headDim + g * headDim;
    }

    /// First column of value head `g` in a projected row.
    public int value(int g) {
        return 2 * heads * headDim + (kvHeads + g) * headDim;
    }

    /// Query heads that share a KV head.
    public int group() {
        return heads / kvHeads;
    }
}
