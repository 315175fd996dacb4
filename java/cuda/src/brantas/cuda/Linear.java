package brantas.cuda;

import brantas.cuda.driver.Module;
import brantas.cuda.launch.Gemm;
import brantas.cuda.launch.Gemm.Result;
import brantas.cuda.launch.Gemv;
import brantas.cuda.launch.Matrix;
import brantas.op.RowSpan;

/// Matrix products: single rows stream the weights, the others go to the tensor cores.
final class Linear {
    private final CurrentStep step;
    private final Gemv gemv;
    private final Gemm gemm;

    Linear(CurrentStep step, Module module, int multiprocessors) {
        this.step = step;
        gemv = new Gemv(module);
        gemm = new Gemm(module, multiprocessors);
    }

    void apply(DeviceBuffer dst, DeviceBuffer x, DeviceWeight weight, RowSpan rows) {
        product(dst.wide() ? Result.F32 : Result.BF16, dst, x, weight, rows);
    }

    void add(DeviceBuffer dst, DeviceBuffer x, DeviceWeight weight, RowSpan rows) {
        if (dst.wide()) {
            throw new IllegalArgumentException(dst.name() + " is fp32: sums are kept in bf16");
        }
        product(Result.ADD, dst, x, weight, rows);
    }

    private void product(
            Result result, DeviceBuffer dst, DeviceBuffer x, DeviceWeight weight, RowSpan rows) {
        Matrix w = weight.matrix();
        if (x.wide() || w.cols() != x.cols() || w.rows() != dst.cols()) {
            throw new IllegalArgumentException(
                    weight.name() + " does not fit " + x.name() + " and " + dst.name());
        }
        gemv.launch(step.stream(), result, dst.matrix(), x.matrix(), w, step.singles(rows));
        gemm.launch(step.stream(), result, dst.matrix(), x.matrix(), w, step.several(rows));
    }
}
