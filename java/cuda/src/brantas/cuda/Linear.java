package brantas.cuda;

import brantas.cuda.blas.VendorGemm;
import brantas.cuda.driver.Device;
import brantas.cuda.driver.Module;
import brantas.cuda.driver.Rows;
import brantas.cuda.launch.Gemm;
import brantas.cuda.launch.Gemm.Result;
import brantas.cuda.launch.Gemv;
import brantas.cuda.launch.Matrix;
import brantas.op.RowSpan;
import brantas.settings.Machine;

/// Matrix products: single rows stream the weights, the others go to the tensor cores, by our own
/// kernel or, where the environment asks for it and it is faster here, by cuBLAS.
final class Linear {
    private final CurrentStep step;
    private final Gemv gemv;
    private final Gemm gemm;
    private final VendorGemm.Answer vendor;

    Linear(CurrentStep step, Module module, Device device) {
        this.step = step;
        gemv = new Gemv(module, device.info());
        gemm = new Gemm(module, device.info());
        vendor =
                Machine.cublas()
                        ? VendorGemm.open(device, step.stream(), gemm)
                        : VendorGemm.Answer.NOT_ASKED;
    }

    /// What [CudaBackend#description] adds: nothing, or what became of the wish for cuBLAS.
    String description() {
        return vendor.text().isEmpty() ? "" : ", " + vendor.text();
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
        Rows several = step.several(rows);
        if (several.count() == 0) {
            return;
        }
        if (vendor.gemm() != null) {
            vendor.gemm().launch(result, dst.matrix(), x.matrix(), w, several);
        } else {
            gemm.launch(step.stream(), result, dst.matrix(), x.matrix(), w, several);
        }
    }
}
