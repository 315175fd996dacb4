package brantas.plain;

import brantas.op.AttentionNorms;
import brantas.op.AttentionShape;
import brantas.op.Backend;
import brantas.op.DeltaShape;
import brantas.op.DeltaState;
import brantas.op.DeltaWeights;
import brantas.op.ExpertShape;
import brantas.op.ExpertTensors;
import brantas.op.GatedNorm;
import brantas.op.KvCache;
import brantas.op.MemoryBudget;
import brantas.op.Norm;
import brantas.op.Rope;
import brantas.op.Routing;
import brantas.op.RowSpan;
import brantas.op.StepBatch;
import brantas.op.Weight;
import brantas.settings.Machine;
import brantas.tensor.Buffer;
import brantas.tensor.HostBuffer;
import brantas.tensor.HostTensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;

/// The referee: every op as the formula is written, scalar, fp64 accumulation, no fast path. Other
/// backends are compared with it; it is never tuned.
///
/// With roundings it rounds to bf16 what a GPU keeps in bf16 between ops (spec 2): activations,
/// keys and values, the inner rows of experts. Everything inside an op stays fp64.
public final class PlainBackend implements Backend {
    private final Arena arena = Arena.ofShared();
    private final boolean rounded;

    /// Activations in fp32.
    public PlainBackend() {
        this(false);
    }

    /// @param rounded whether activations between ops are rounded to bf16
    public PlainBackend(boolean rounded) {
        this.rounded = rounded;
    }

    @Override
    public String name() {
        return rounded ? "plain-bf16" : "plain";
    }

    @Override
    public String description() {
        String between = rounded ? ", bf16 between ops" : "";
        return "scalar Java, fp64 accumulation" + between;
    }

    @Override
    public MemoryBudget memory() {
        return new MemoryBudget("this machine", Machine.availableMemory(), 4, false);
    }

    @Override
    public Weight matrix(List<HostTensor> parts) {
        return Matrix.of(parts);
    }

    @Override
    public Weight vector(HostTensor tensor) {
        return Matrix.of(List.of(tensor));
    }

    @Override
    public Weight experts(ExpertTensors tensors, ExpertShape shape) {
        return Experts.Set.of(tensors, shape, rounded);
    }

    @Override
    public Buffer buffer(String name, int rows, int cols) {
        return new HostBuffer(arena, name, rows, cols, rounded);
    }

    @Override
    public Buffer floats(String name, int rows, int cols) {
        return new HostBuffer(arena, name, rows, cols);
    }

    @Override
    public Routing routing(ExpertShape shape, int hidden, int rows) {
        return Experts.Choice.of(shape, rows);
    }

    @Override
    public KvCache kvCache(AttentionShape shape, int pageSize, int pages) {
        return new Cache(arena, shape, pageSize, pages, rounded);
    }

    @Override
    public DeltaState deltaState(DeltaShape shape, int slots) {
        return new State(arena, shape, slots);
    }

    @Override
    public void begin(StepBatch batch) {
        // The arrays are already where this backend reads them.
    }

    @Override
    public void embed(Buffer dst, Weight table, StepBatch batch) {
        HostBuffer out = host(dst);
        double[] line = new double[out.cols()];
        for (int r = 0; r < batch.rows(); r++) {
            ((Matrix) table).row(batch.token(r), line);
            for (int i = 0; i < line.length; i++) {
                out.set(r, i, line[i]);
            }
        }
    }

    @Override
    public void gatherOutputs(Buffer dst, Buffer src, StepBatch batch) {
        HostBuffer to = host(dst);
        HostBuffer from = host(src);
        for (int i = 0; i < batch.outputSpan().rows(); i++) {
            to.copyRow(i, from, batch.outputRow(i));
        }
    }

    @Override
    public void download(MemorySegment dst, Buffer src, int from, int count) {
        host(src).read(from, count, dst);
    }

    @Override
    public void upload(Buffer dst, int from, int count, MemorySegment src) {
        host(dst).write(from, count, src);
    }

    @Override
    public void rmsNorm(Buffer dst, Buffer x, Norm norm, RowSpan rows) {
        Norms.rms(host(dst), host(x), (Matrix) norm.weight(), norm.eps(), rows.rows());
    }

    @Override
    public void linear(Buffer dst, Buffer x, Weight weight, RowSpan rows) {
        Linear.apply(host(dst), host(x), (Matrix) weight, rows.rows(), false);
    }

    @Override
    public void linearAdd(Buffer dst, Buffer x, Weight weight, RowSpan rows) {
        Linear.apply(host(dst), host(x), (Matrix) weight, rows.rows(), true);
    }

    @Override
    public void swiGlu(Buffer dst, Buffer x, Weight weight, RowSpan rows) {
        Matrix gateUp = (Matrix) weight;
        try (Arena scratch = Arena.ofShared()) {
            HostBuffer sums = new HostBuffer(scratch, "gate up", rows.rows(), gateUp.rows());
            Linear.apply(sums, host(x), gateUp, rows.rows(), false);
            Norms.swiGlu(host(dst), sums, rows.rows());
        }
    }

    @Override
    public void delta(
            Buffer dst,
            Buffer convolved,
            Buffer projected,
            DeltaWeights weights,
            DeltaState state,
            StepBatch batch) {
        HostBuffer between = host(convolved);
        Delta.convolve(between, host(projected), (Matrix) weights.conv(), (State) state, batch);
        Delta.Gates gates = new Delta.Gates((Matrix) weights.aLog(), (Matrix) weights.dtBias());
        Delta.scan(host(dst), between, host(projected), gates, (State) state, batch);
    }

    @Override
    public void gatedNorm(Buffer dst, Buffer o, Buffer projected, GatedNorm norm, RowSpan rows) {
        Matrix weight = (Matrix) norm.weight();
        Norms.gated(host(dst), host(o), host(projected), weight, norm.shape(), rows.rows());
    }

    @Override
    public void rotations(Buffer dst, Rope rope, StepBatch batch) {
        Attention.rotations(host(dst), rope, batch);
    }

    @Override
    public void storeKv(
            Buffer q,
            Buffer projected,
            AttentionNorms norms,
            Buffer rotations,
            KvCache cache,
            StepBatch batch) {
        Attention.Norm norm = new Attention.Norm((Matrix) norms.query(), (Matrix) norms.key());
        Attention.storeKv(host(q), host(projected), norm, host(rotations), (Cache) cache, batch);
    }

    @Override
    public void attend(Buffer dst, Buffer q, Buffer projected, KvCache cache, StepBatch batch) {
        Attention.attend(host(dst), host(q), host(projected), (Cache) cache, batch);
    }

    @Override
    public void route(Routing dst, Buffer x, Weight router, RowSpan rows) {
        Experts.route((Experts.Choice) dst, host(x), (Matrix) router, rows.rows());
    }

    @Override
    public void experts(Buffer dst, Buffer x, Routing routing, Weight experts, RowSpan rows) {
        Experts.apply(
                host(dst), host(x), (Experts.Choice) routing, (Experts.Set) experts, rows.rows());
    }

    @Override
    public void close() {
        arena.close();
    }

    private static HostBuffer host(Buffer buffer) {
        return (HostBuffer) buffer;
    }
}
