package brantas.plain;

/// The scalar functions of the model in fp64.
final class Scalar {
    private Scalar() {}

    static double sigmoid(double x) {
        return 1 / (1 + Math.exp(-x));
    }

    static double silu(double x) {
        return x * sigmoid(x);
    }

    /// ln(1 + eˣ), and x itself above 20 as the reference does (spec 0.2).
    static double softplus(double x) {
        return x > 20 ? x : Math.log1p(Math.exp(x));
    }
}
