package brantas.cuda;

import brantas.cuda.blas.VendorGemm;
import brantas.cuda.driver.Device;
import brantas.cuda.driver.Module;
import brantas.cuda.driver.Rows;
import brantas.cuda.launch.Gemm;
import brantas.cuda.launch.Gemm.Result;
import brantas.cuda.launch.Gemv;
import brantas.cuda.launch.Matrix;
import brantas.op.GatedNorm;
import brantas.op.Norm;
import brantas.op.RowSpan;
import brantas.op.StepBatch;
import brantas.settings.Machine;

/// Matrix products: single rows stream the weights, the others go to the tensor cores in tiles, by
/// our own kernel or, where the environment asks for it and it is faster here, by cuBLAS. A norm
/// before a product can be part of its launch when there are few single rows and no others; that
/// does not show in the result.
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
        checkNarrow(dst);
        product(Result.ADD, dst, x, weight, rows);
    }

    void swiGlu(DeviceBuffer dst, DeviceBuffer x, DeviceWeight weight, RowSpan rows) {
        checkNarrow(dst);
        product(Result.SWIGLU, dst, x, weight, rows);
    }

    /// A product of normed rows in one launch, if they are few.
    ///
    /// @param result BF16 or SWIGLU
    /// @return false if nothing was done
    boolean normed(
            Result result,
            DeviceBuffer dst,
            DeviceBuffer x,
            Norm norm,
            DeviceWeight weight,
            RowSpan rows) {
        checkNarrow(dst);
        if (!joins(weight, rows)) {
            return false;
        }
        Gemv.Normed from = through(norm, x);
        if (result == Result.SWIGLU) {
            gemv.normedSwiGlu(step.stream(), dst.matrix(), from, weight.matrix(), singles(rows));
        } else {
            gemv.normed(step.stream(), dst.matrix(), from, weight.matrix(), singles(rows));
        }
        return true;
    }

    /// A product of gated and normed rows that is added, in one launch, if they are few.
    ///
    /// @return false if nothing was done
    boolean gatedAdd(
            DeviceBuffer dst,
            DeviceBuffer o,
            DeviceBuffer projected,
            GatedNorm norm,
            DeviceWeight weight,
            RowSpan rows) {
        checkNarrow(dst);
        if (!joins(weight, rows)) {
            return false;
        }
        Gemv.Gated gated =
                new Gemv.Gated(
                        o.matrix(),
                        projected.matrix(),
                        CudaBackend.device(norm.weight()).address(),
                        norm.shape());
        gemv.gated(step.stream(), dst.matrix(), gated, weight.matrix(), singles(rows));
        return true;
    }

    /// Logits of the rows that the window of outputs names, if one launch can do it.
    ///
    /// @return false if nothing was done
    boolean logits(
            DeviceBuffer dst, DeviceBuffer x, Norm norm, DeviceWeight head, StepBatch batch) {
        RowSpan rows = batch.outputSpan();
        if (!joins(head, rows)) {
            return false;
        }
        gemv.logits(
                step.stream(),
                dst.matrix(),
                through(norm, x),
                head.matrix(),
                step.address(),
                singles(rows));
        return true;
    }

    /// Whether the norm of these rows is computed by the launch that reads the weight.
    private boolean joins(DeviceWeight weight, RowSpan rows) {
        return step.hasOnlySingles(rows, Gemv.fusedRows(weight.matrix().cols()));
    }

    private Rows singles(RowSpan rows) {
        return step.singles(rows);
    }

    private static Gemv.Normed through(Norm norm, DeviceBuffer x) {
        return new Gemv.Normed(x.matrix(), CudaBackend.device(norm.weight()).address(), norm.eps());
    }

    private static void checkNarrow(DeviceBuffer dst) {
        if (dst.wide()) {
            throw new IllegalArgumentException(dst.name() + " is fp32: sums are kept in bf16");
        }
    }

    private void product(
            Result result, DeviceBuffer dst, DeviceBuffer x, DeviceWeight weight, RowSpan rows) {
        Matrix w = weight.matrix();
        if (x.wide()) {
            throw new IllegalArgumentException(x.name() + " is fp32: products take bf16");
        }
        gemv.launch(step.stream(), result, dst.matrix(), x.matrix(), w, singles(rows));
        Rows several = step.several(rows);
        if (several.count() == 0) {
            return;
        }
        if (vendor.gemm() != null && result != Result.SWIGLU) {
            vendor.gemm().launch(result, dst.matrix(), x.matrix(), w, several);
        } else {
            gemm.launch(step.stream(), result, dst.matrix(), x.matrix(), w, several);
        }
    }
}
