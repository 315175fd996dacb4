package brantas.plain;

import brantas.tensor.HostBuffer;
import java.util.stream.IntStream;

/// Matrix products, one dot product after another, fp64 accumulation. Weight rows are shared out to
/// threads; each output is one sequential sum.
final class Linear {
    private Linear() {}

    static void apply(HostBuffer dst, HostBuffer x, Matrix w, int rows, boolean add) {
        double[][] in = rows(x, rows, w.cols());
        IntStream.range(0, w.rows())
                .parallel()
                .forEach(o -> {
                    double[] weights = new double[w.cols()];
                    w.row(o, weights);
                    for (int r = 0; r < rows; r++) {
                        double y = dot(weights, in[r]);
                        dst.set(r, o, add ? dst.get(r, o) + y : y);
                    }
                });
    }

    static double[][] rows(HostBuffer x, int rows, int cols) {
        double[][] in = new double[rows][cols];
        for (int r = 0; r < rows; r++) {
            for (int i = 0; i < cols; i++) {
                in[r][i] = x.get(r, i);
            }
        }
        return in;
    }

    static double dot(double[] a, double[] b) {
        double sum = 0;
        for (int i = 0; i < b.length; i++) {
            sum += a[i] * b[i];
        }
        return sum;
    }
}
