package brantas.predict;

/// How weights are stored. Matrices of the blocks and the head may differ; what is small or decides
/// (router, gates' inputs) stays bf16 in every form.
///
/// @param name as it is shown
/// @param bodyBits of a weight of the blocks, scales included
/// @param headBits of a weight of the output head
record WeightForm(String name, double bodyBits, double headBits) {
    static final WeightForm BF16 = new WeightForm("bf16", 16, 16);

    double body(double weights) {
        return weights * bodyBits / 8;
    }

    double head(double weights) {
        return weights * headBits / 8;
    }

    /// Of what stays bf16.
    double small(double weights) {
        return weights * 2;
    }
}
