package brantas.plain;

import brantas.op.DeltaShape;
import brantas.tensor.HostBuffer;

/// The three norms and SwiGLU, in fp64 (spec 2.2, 2.3, 2.4).
final class Norms {
    private Norms() {}

    static void rms(HostBuffer dst, HostBuffer x, Matrix weight, float eps, int rows) {
        int n = weight.cols() * weight.rows();
        for (int r = 0; r < rows; r++) {
            double scale = inverseRoot(x, r, 0, n, eps);
            for (int i = 0; i < n; i++) {
                dst.set(r, i, x.get(r, i) * scale * (1.0 + weight.at(i)));
            }
        }
    }

    static void gated(
            HostBuffer dst,
            HostBuffer o,
            HostBuffer projected,
            Matrix weight,
            DeltaShape s,
            int rows) {
        for (int r = 0; r < rows; r++) {
            for (int h = 0; h < s.valueHeads(); h++) {
                int from = h * s.valueDim();
                double scale = inverseRoot(o, r, from, s.valueDim(), s.eps());
                for (int i = 0; i < s.valueDim(); i++) {
                    double z = projected.get(r, s.z() + from + i);
                    double y = o.get(r, from + i) * scale * weight.at(i) * Scalar.silu(z);
                    dst.set(r, from + i, y);
                }
            }
        }
    }

    static void swiGlu(HostBuffer dst, HostBuffer gateUp, int rows) {
        int inner = dst.cols();
        for (int r = 0; r < rows; r++) {
            for (int i = 0; i < inner; i++) {
                dst.set(r, i, Scalar.silu(gateUp.get(r, i)) * gateUp.get(r, inner + i));
            }
        }
    }

    static double inverseRoot(HostBuffer x, int row, int from, int n, double eps) {
        double sum = 0;
        for (int i = 0; i < n; i++) {
            double v = x.get(row, from + i);
            sum += v * v;
        }
        return 1 / Math.sqrt(sum / n + eps);
    }
}
