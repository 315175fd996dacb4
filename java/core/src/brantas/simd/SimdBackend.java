package brantas.simd;

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
import brantas.op.StepSizes;
import brantas.op.Weight;
import brantas.settings.Machine;
import brantas.tensor.Buffer;
import brantas.tensor.HostBuffer;
import brantas.tensor.HostTensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// The CPU backend: fp32 arithmetic with the Vector API on weights as they are stored, on a fixed
/// team of threads. This class only hands each op to the class that does it. A sequence gives the
/// same bits in every batch and with every number of threads; another vector width may give others.
public final class SimdBackend implements Backend {
    private final Workers workers;
    private final Arena arena = Arena.ofShared();
    private final Linear linear;
    private final Norms norms;
    private final Rotary rotary;
    private final Attend attend;
    private final DeltaSlots.Convolution convolution;
    private final DeltaScan scan;
    private final Router router;
    private final Experts experts;
    private @Nullable HostBuffer gateUp;

    /// @param threads how many compute, the caller included; at least 1
    public SimdBackend(int threads) {
        if (threads < 1) {
            throw new IllegalArgumentException("threads: " + threads);
        }
        workers = new Workers(threads);
        linear = new Linear(workers);
        norms = new Norms(workers);
        rotary = new Rotary(workers);
        attend = new Attend(workers);
        convolution = new DeltaSlots.Convolution(workers);
        scan = new DeltaScan(workers);
        router = new Router(workers, linear);
        experts = new Experts(workers, linear, norms);
    }

    @Override
    public String name() {
        return "simd";
    }

    @Override
    public String description() {
        return Lanes.F.vectorBitSize() + "-bit vectors, " + workers.threads() + " threads";
    }

    @Override
    public Weight matrix(List<HostTensor> parts) {
        return new Matrix(parts);
    }

    @Override
    public Weight vector(HostTensor tensor) {
        return new Values(tensor);
    }

    @Override
    public Weight experts(ExpertTensors tensors, ExpertShape shape) {
        return new Experts.Weights(tensors);
    }

    @Override
    public Buffer buffer(String name, int rows, int cols) {
        return new HostBuffer(arena, name, rows, cols);
    }

    @Override
    public Buffer floats(String name, int rows, int cols) {
        return buffer(name, rows, cols);
    }

    @Override
    public MemoryBudget memory() {
        return new MemoryBudget("this machine", Machine.availableMemory(), 4, false);
    }

    @Override
    public Routing routing(ExpertShape shape, int hidden, int rows) {
        return new Router.Choice(arena, shape, hidden, rows);
    }

    @Override
    public KvCache kvCache(AttentionShape shape, int pageSize, int pages) {
        return new KvPages(arena, shape, pageSize, pages);
    }

    @Override
    public DeltaState deltaState(DeltaShape shape, int slots) {
        return new DeltaSlots(arena, shape, slots);
    }

    @Override
    public void begin(StepBatch batch) {
        // The ops read the batch where it is.
    }

    @Override
    public void embed(Buffer dst, Weight table, StepBatch batch) {
        HostBuffer to = (HostBuffer) dst;
        Matrix m = (Matrix) table;
        for (int row = 0; row < batch.rows(); row++) {
            m.row(batch.token(row), to.data().address() + to.offset(row));
        }
    }

    @Override
    public void gatherOutputs(Buffer dst, Buffer src, StepBatch batch) {
        HostBuffer to = (HostBuffer) dst;
        HostBuffer from = (HostBuffer) src;
        for (int i = 0; i < batch.outputSpan().rows(); i++) {
            to.copyRow(i, from, batch.outputRow(i));
        }
    }

    @Override
    public void download(MemorySegment dst, Buffer src, int from, int count) {
        ((HostBuffer) src).read(from, count, dst);
    }

    @Override
    public void upload(Buffer dst, int from, int count, MemorySegment src) {
        ((HostBuffer) dst).write(from, count, src);
    }

    @Override
    public void rmsNorm(Buffer dst, Buffer x, Norm norm, RowSpan rows) {
        Values weight = (Values) norm.weight();
        norms.rmsNorm((HostBuffer) dst, (HostBuffer) x, weight, norm.eps(), rows);
    }

    @Override
    public void linear(Buffer dst, Buffer x, Weight weight, RowSpan rows) {
        linear.linear((HostBuffer) dst, (HostBuffer) x, (Matrix) weight, rows, false);
    }

    @Override
    public void linearAdd(Buffer dst, Buffer x, Weight weight, RowSpan rows) {
        linear.linear((HostBuffer) dst, (HostBuffer) x, (Matrix) weight, rows, true);
    }

    @Override
    public void swiGlu(Buffer dst, Buffer x, Weight weight, RowSpan rows) {
        Matrix w = (Matrix) weight;
        HostBuffer sums = gateUp(rows.rows(), 2 * dst.cols());
        linear.linear(sums, (HostBuffer) x, w, rows, false);
        norms.swiGlu((HostBuffer) dst, sums, rows);
    }

    /// Room between the two parts of SwiGLU: what was reserved, more only where nobody reserved.
    private HostBuffer gateUp(int rows, int cols) {
        if (gateUp == null || gateUp.rows() < rows || gateUp.cols() != cols) {
            gateUp = new HostBuffer(arena, "gate up", rows, cols);
        }
        return gateUp;
    }

    @Override
    public void reserve(StepSizes sizes) {
        if (sizes.inner() > 0) {
            gateUp(sizes.rows(), 2 * sizes.inner());
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
        HostBuffer between = (HostBuffer) convolved;
        DeltaSlots slots = (DeltaSlots) state;
        Values conv = (Values) weights.conv();
        convolution.run(between, (HostBuffer) projected, conv, slots, batch);
        scan(dst, between, projected, weights, state, batch);
    }

    /// The second part of [#delta] alone.
    void scan(
            Buffer dst,
            Buffer convolved,
            Buffer projected,
            DeltaWeights weights,
            DeltaState state,
            StepBatch batch) {
        scan.from((HostBuffer) convolved, (HostBuffer) projected, weights)
                .run((HostBuffer) dst, (DeltaSlots) state, batch);
    }

    @Override
    public void gatedNorm(Buffer dst, Buffer o, Buffer projected, GatedNorm norm, RowSpan rows) {
        HostBuffer input = (HostBuffer) projected;
        Values weight = (Values) norm.weight();
        norms.gatedNorm((HostBuffer) dst, (HostBuffer) o, input, weight, norm.shape(), rows);
    }

    @Override
    public void rotations(Buffer dst, Rope rope, StepBatch batch) {
        rotary.rotations((HostBuffer) dst, rope, batch);
    }

    @Override
    public void storeKv(
            Buffer q,
            Buffer projected,
            AttentionNorms norms,
            Buffer rotations,
            KvCache cache,
            StepBatch batch) {
        rotary.from((HostBuffer) projected, (HostBuffer) rotations)
                .storeKv((HostBuffer) q, norms, (KvPages) cache, batch);
    }

    @Override
    public void attend(Buffer dst, Buffer q, Buffer projected, KvCache cache, StepBatch batch) {
        HostBuffer input = (HostBuffer) projected;
        attend.attend((HostBuffer) dst, (HostBuffer) q, input, (KvPages) cache, batch);
    }

    @Override
    public void route(Routing dst, Buffer x, Weight router, RowSpan rows) {
        this.router.route((Router.Choice) dst, (HostBuffer) x, (Matrix) router, rows);
    }

    @Override
    public void experts(Buffer dst, Buffer x, Routing routing, Weight experts, RowSpan rows) {
        Router.Choice choice = (Router.Choice) routing;
        Experts.Weights weights = (Experts.Weights) experts;
        this.experts.run((HostBuffer) dst, (HostBuffer) x, choice, weights, rows);
    }

    @Override
    public void close() {
        workers.close();
        rotary.close();
        attend.close();
        scan.close();
        experts.close();
        arena.close();
    }
}
