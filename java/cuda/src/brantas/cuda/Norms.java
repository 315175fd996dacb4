package brantas.cuda;

import brantas.cuda.driver.Module;
import brantas.cuda.launch.GatedNorm;
import brantas.cuda.launch.RmsNorm;
import brantas.op.Norm;
import brantas.op.RowSpan;

/// The norms that are launches of their own: one kernel each for all rows.
final class Norms {
    private final CurrentStep step;
    private final RmsNorm rms;
    private final GatedNorm gated;

    Norms(CurrentStep step, Module module) {
        this.step = step;
        rms = new RmsNorm(module);
        gated = new GatedNorm(module);
    }

    void rms(DeviceBuffer dst, DeviceBuffer x, Norm norm, RowSpan rows) {
        long weight = CudaBackend.device(norm.weight()).address();
        rms.launch(step.stream(), dst.matrix(), x.matrix(), weight, step.all(rows), norm.eps());
    }

    void gated(
            DeviceBuffer dst,
            DeviceBuffer o,
            DeviceBuffer projected,
            brantas.op.GatedNorm norm,
            RowSpan rows) {
        GatedNorm.Operands operands =
                new GatedNorm.Operands(
                        dst.matrix(),
                        o.matrix(),
                        projected.matrix(),
                        CudaBackend.device(norm.weight()).address());
        gated.launch(step.stream(), operands, norm.shape(), step.all(rows));
    }
}
