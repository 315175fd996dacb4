package brantas.cuda;

import brantas.cuda.driver.Module;
import brantas.cuda.launch.GatedNorm;
import brantas.cuda.launch.RmsNorm;
import brantas.cuda.launch.SwiGlu;
import brantas.op.DeltaShape;
import brantas.op.RowSpan;

/// The norms and SwiGLU: one kernel each for all rows.
final class Norms {
    private final CurrentStep step;
    private final RmsNorm rms;
    private final GatedNorm gated;
    private final SwiGlu swiGlu;

    Norms(CurrentStep step, Module module) {
        this.step = step;
        rms = new RmsNorm(module);
        gated = new GatedNorm(module);
        swiGlu = new SwiGlu(module);
    }

    void rms(DeviceBuffer dst, DeviceBuffer x, DeviceWeight weight, float eps, RowSpan rows) {
        rms.launch(step.stream(), dst.matrix(), x.matrix(), weight.address(), step.all(rows), eps);
    }

    void swiGlu(DeviceBuffer dst, DeviceBuffer gateUp, RowSpan rows) {
        swiGlu.launch(step.stream(), dst.matrix(), gateUp.matrix(), step.all(rows));
    }

    void gated(
            DeviceBuffer dst,
            DeviceBuffer o,
            DeviceBuffer projected,
            DeviceWeight weight,
            DeltaShape shape,
            RowSpan rows) {
        GatedNorm.Operands operands =
                new GatedNorm.Operands(
                        dst.matrix(), o.matrix(), projected.matrix(), weight.address());
        gated.launch(step.stream(), operands, shape, step.all(rows));
    }
}
