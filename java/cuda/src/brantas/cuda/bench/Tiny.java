package brantas.cuda.bench;

import brantas.op.AttentionShape;
import brantas.op.DeltaShape;
import brantas.op.ExpertShape;
import brantas.op.ModelShapes;
import brantas.spi.KernelLab.Model;
import java.util.Optional;

/// A model of the same kind, small enough for the emulated device: as few heads as keep the ratios,
/// and narrow everywhere else.
final class Tiny {
    private Tiny() {}

    static Model of(Model model) {
        ModelShapes shapes = model.shapes();
        AttentionShape attention = shapes.attention();
        DeltaShape delta = shapes.delta();
        Optional<ExpertShape> experts =
                shapes.experts().map(e -> new ExpertShape(16, Math.min(4, e.perToken()), 32, 32));
        ModelShapes tiny =
                new ModelShapes(
                        new AttentionShape(
                                attention.group(),
                                1,
                                attention.headDim(),
                                attention.rotaryDim(),
                                attention.eps()),
                        new DeltaShape(
                                4,
                                4 * delta.group(),
                                delta.keyDim(),
                                delta.valueDim(),
                                delta.convWidth(),
                                delta.eps()),
                        experts,
                        512);
        return new Model(model.name(), tiny, 64, model.inner() > 0 ? 96 : 0);
    }
}
