package brantas.cuda;

import brantas.cuda.driver.Device;
import brantas.cuda.driver.DeviceException;
import brantas.cuda.driver.DeviceInfo;
import brantas.cuda.driver.Manifest;
import brantas.cuda.driver.Module;
import brantas.cuda.driver.Stream;
import brantas.cuda.launch.DeltaForm;
import brantas.cuda.launch.Embed;
import brantas.cuda.launch.GatherRows;
import brantas.cuda.launch.Gemm.Result;
import brantas.cuda.launch.Matrix;
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
import brantas.op.ModelShapes;
import brantas.op.Norm;
import brantas.op.Rope;
import brantas.op.Routing;
import brantas.op.RowSpan;
import brantas.op.StepBatch;
import brantas.op.StepProfile;
import brantas.op.StepSizes;
import brantas.op.TokenSampler;
import brantas.op.Weight;
import brantas.settings.BrantasException;
import brantas.spi.BackendProvider.Choice;
import brantas.tensor.Buffer;
import brantas.tensor.HostTensor;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.BitSet;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/// The GPU backend: weights and activations in bf16, accumulations, state and logits in fp32 (spec
/// 2), every op a kernel of ours on one stream. This class makes the memory and hands each op to
/// the class that launches it; nothing here computes.
///
/// A step is uploaded as one block. A step of single rows is recorded as a graph and replayed, see
/// [StepRecorder]. A sequence gives the same bits in every batch on one device, unless cuBLAS was
/// asked for.
final class CudaBackend implements Backend {
    private final Device device;
    private final boolean graphs;
    private final Stream stream;
    private final CurrentStep step;
    private final StepRecorder recorder;
    private final Embed embed;
    private final GatherRows gather;
    private final Norms norms;
    private final Linear linear;
    private final Attention attention;
    private final Delta delta;
    private final Experts experts;
    private final Module module;
    private final Store store;
    private final IdentityHashMap<StepBatch, StepBlock> blocks = new IdentityHashMap<>();

    /// @param image the compiled kernels
    /// @param choice whether steps of single rows are recorded, and how exact ops are inside
    CudaBackend(Device device, Path image, Choice choice) {
        this.device = device;
        this.graphs = choice.graphs();
        stream = device.stream("compute");
        store = new Store(device, stream);
        step = new CurrentStep(stream);
        recorder = new StepRecorder(step);
        module = device.load(image, Manifest.read());
        embed = new Embed(module);
        gather = new GatherRows(module);
        norms = new Norms(step, module);
        linear = new Linear(step, module, device);
        attention = new Attention(store, step, module);
        DeltaForm fast = DeltaForm.of(device.info().sharedMemory());
        delta = new Delta(store, step, module, choice.exact() ? DeltaForm.EXACT : fast);
        experts = new Experts(step, module, device.info());
    }

    @Override
    public String name() {
        return "cuda";
    }

    @Override
    public String description() {
        DeviceInfo info = device.info();
        return String.format(
                Locale.ROOT,
                "%s%s, compute capability %s, %.1f GiB, driver for CUDA %s%s%s%s",
                info.emulated() ? "emulated device: " : "",
                info.name(),
                info.capability(),
                info.totalMemory() / (double) (1L << 30),
                info.driver(),
                module.programmaticLaunch() ? ", programmatic launch" : "",
                linear.description(),
                graphs ? "" : ", graphs off");
    }

    @Override
    public MemoryBudget memory() {
        return new MemoryBudget(device.info().name(), device.freeMemory(), 2, true);
    }

    @Override
    public void check(ModelShapes shapes) {
        Attention.check(shapes.attention());
        Delta.check(shapes.delta());
        shapes.experts().ifPresent(Experts::check);
        Draws.check(shapes.vocabulary());
    }

    @Override
    public Weight matrix(List<HostTensor> parts) {
        return store.matrix(parts);
    }

    @Override
    public Weight gateUp(HostTensor gate, HostTensor up) {
        return ExpertWeights.gateUp(store, gate, up);
    }

    @Override
    public Weight vector(HostTensor tensor) {
        return store.vector(tensor);
    }

    @Override
    public Weight experts(ExpertTensors tensors, ExpertShape shape) {
        Experts.check(shape);
        return ExpertWeights.of(store, tensors, shape);
    }

    @Override
    public Buffer buffer(String name, int rows, int cols) {
        return store.buffer(name, rows, cols, false);
    }

    @Override
    public Buffer floats(String name, int rows, int cols) {
        return store.buffer(name, rows, cols, true);
    }

    @Override
    public void reserve(StepSizes sizes) {
        attention.reserve(sizes);
        delta.reserve(sizes);
    }

    @Override
    public Routing routing(ExpertShape shape, int hidden, int rows) {
        return Routes.of(store, shape, hidden, rows);
    }

    @Override
    public KvCache kvCache(AttentionShape shape, int pageSize, int pages) {
        Attention.check(shape);
        long bytes = KvPlanes.bytes(shape, pageSize, pages);
        return new KvPlanes(
                shape,
                pageSize,
                pages,
                store.allocate("key cache", bytes),
                store.allocate("value cache", bytes));
    }

    @Override
    public DeltaState deltaState(DeltaShape shape, int slots) {
        Delta.check(shape);
        return new DeltaSlots(
                shape,
                slots,
                store.allocate("recurrent state", slots * DeltaSlots.stateBytes(shape)),
                store.allocate("convolution window", slots * DeltaSlots.windowBytes(shape)),
                stream);
    }

    @Override
    public void begin(StepBatch batch) {
        store.endUploads();
        StepBlock block = blocks.get(batch);
        if (block == null) {
            block = new StepBlock(device, stream, batch);
            blocks.put(batch, block);
        }
        step.begin(batch, block);
        block.upload(batch);
    }

    @Override
    public void step(StepBatch batch, Runnable ops) {
        try {
            begin(batch);
            if (graphs && !stream.watched() && StepRecorder.recordable(batch)) {
                recorder.run(ops, attention.splits(batch));
            } else {
                ops.run();
            }
        } catch (DeviceException e) {
            throw said(e);
        }
    }

    @Override
    public Optional<StepProfile> profile(Runnable work) {
        return Optional.of(step.profile(device.info(), work));
    }

    /// What a device reports, as one sentence for whoever waits for the step.
    static BrantasException said(DeviceException e) {
        return new BrantasException("The step failed on the GPU: " + e.getMessage(), e);
    }

    @Override
    public Optional<TokenSampler> sampler(int vocabulary, BitSet allowed, int slots, int outputs) {
        Draws.check(vocabulary);
        return Optional.of(
                new Draws(
                        store, step, module, new Draws.Sizes(vocabulary, slots, outputs), allowed));
    }

    @Override
    public void embed(Buffer dst, Weight table, StepBatch batch) {
        Matrix to = device(dst).matrix();
        Matrix from = device(table).matrix();
        embed.launch(
                stream, to, from, step.address(), store.faultsAddress(), step.all(batch.span()));
    }

    @Override
    public void gatherOutputs(Buffer dst, Buffer src, StepBatch batch) {
        renewWindow(batch);
        Matrix to = device(dst).matrix();
        gather.launch(
                stream, to, device(src).matrix(), step.address(), step.all(batch.outputSpan()));
    }

    /// Where the window of outputs was moved within a step.
    private void renewWindow(StepBatch batch) {
        if (!step.recording()) {
            step.block().uploadWindow(batch);
        }
    }

    @Override
    public void download(MemorySegment dst, Buffer src, int from, int count) {
        store.download(dst, device(src), from, count);
    }

    @Override
    public void upload(Buffer dst, int from, int count, MemorySegment src) {
        store.upload(device(dst), from, count, src);
    }

    @Override
    public void rmsNorm(Buffer dst, Buffer x, Norm norm, RowSpan rows) {
        norms.rms(device(dst), device(x), norm, rows);
    }

    @Override
    public void swiGlu(Buffer dst, Buffer x, Weight weight, RowSpan rows) {
        linear.swiGlu(device(dst), device(x), device(weight), rows);
    }

    @Override
    public void linear(Buffer dst, Buffer x, Weight weight, RowSpan rows) {
        linear.apply(device(dst), device(x), device(weight), rows);
    }

    @Override
    public void linearAdd(Buffer dst, Buffer x, Weight weight, RowSpan rows) {
        linear.add(device(dst), device(x), device(weight), rows);
    }

    @Override
    public void delta(
            Buffer dst,
            Buffer convolved,
            Buffer projected,
            DeltaWeights weights,
            DeltaState state,
            StepBatch batch) {
        DeltaSlots slots = (DeltaSlots) state;
        delta.apply(device(dst), device(convolved), device(projected), weights, slots, batch);
    }

    @Override
    public void gatedNorm(Buffer dst, Buffer o, Buffer projected, GatedNorm norm, RowSpan rows) {
        norms.gated(device(dst), device(o), device(projected), norm, rows);
    }

    @Override
    public void normLinear(
            Buffer dst, Buffer x, Norm norm, Buffer normed, Weight weight, RowSpan rows) {
        if (!linear.normed(Result.BF16, device(dst), device(x), norm, device(weight), rows)) {
            Backend.super.normLinear(dst, x, norm, normed, weight, rows);
        }
    }

    @Override
    public void normSwiGlu(
            Buffer dst, Buffer x, Norm norm, Buffer normed, Weight weight, RowSpan rows) {
        if (!linear.normed(Result.SWIGLU, device(dst), device(x), norm, device(weight), rows)) {
            Backend.super.normSwiGlu(dst, x, norm, normed, weight, rows);
        }
    }

    @Override
    public void gatedLinearAdd(
            Buffer dst, Buffer o, Buffer projected, GatedNorm norm, Weight weight, RowSpan rows) {
        DeviceWeight matrix = device(weight);
        if (!linear.gatedAdd(device(dst), device(o), device(projected), norm, matrix, rows)) {
            Backend.super.gatedLinearAdd(dst, o, projected, norm, weight, rows);
        }
    }

    @Override
    public void normRoute(
            Routing dst, Buffer x, Norm norm, Buffer normed, Weight router, RowSpan rows) {
        if (!experts.routeNormed((Routes) dst, device(x), norm, device(normed), router, rows)) {
            Backend.super.normRoute(dst, x, norm, normed, router, rows);
        }
    }

    @Override
    public void logits(
            Buffer dst, Buffer x, Norm norm, Buffer normed, Weight head, StepBatch batch) {
        renewWindow(batch);
        if (!linear.logits(device(dst), device(x), norm, device(head), batch)) {
            Backend.super.logits(dst, x, norm, normed, head, batch);
        }
    }

    @Override
    public void rotations(Buffer dst, Rope rope, StepBatch batch) {
        attention.rotations(device(dst), rope, batch);
    }

    @Override
    public void storeKv(
            Buffer q,
            Buffer projected,
            AttentionNorms norms,
            Buffer rotations,
            KvCache cache,
            StepBatch batch) {
        attention.storeKv(
                device(q), device(projected), norms, device(rotations), (KvPlanes) cache, batch);
    }

    @Override
    public void attend(Buffer dst, Buffer q, Buffer projected, KvCache cache, StepBatch batch) {
        attention.attend(device(dst), device(q), device(projected), (KvPlanes) cache, batch);
    }

    @Override
    public void route(Routing dst, Buffer x, Weight router, RowSpan rows) {
        experts.route((Routes) dst, device(x), device(router), rows);
    }

    @Override
    public void experts(Buffer dst, Buffer x, Routing routing, Weight weights, RowSpan rows) {
        experts.apply(device(dst), device(x), (Routes) routing, (ExpertWeights) weights, rows);
    }

    @Override
    public void close() {
        device.close();
    }

    static DeviceBuffer device(Buffer buffer) {
        return (DeviceBuffer) buffer;
    }

    static DeviceWeight device(Weight weight) {
        return (DeviceWeight) weight;
    }
}
