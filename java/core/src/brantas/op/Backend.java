package brantas.op;

import brantas.tensor.Buffer;
import brantas.tensor.HostTensor;
import java.util.BitSet;
import java.util.List;
import java.util.Optional;

/// Everything a forward pass needs of a device: it turns stored tensors into weights, owns all
/// working memory, and runs the ops. Calls name the destination first, take a whole batch, and
/// never allocate; memory is sized at load. One thread uses a backend at a time.
public interface Backend extends FusedOps, AttentionOps, AutoCloseable {
    /// `plain`, `simd`, …
    String name();

    /// What it runs on, for people: vector width, threads, device.
    String description();

    /// Refuses a model that its ops are not built for; called before the first weight is handed
    /// over.
    default void check(ModelShapes shapes) {}

    /// A matrix for [LinearOps] (or a table for [RowOps#embed]): the parts stacked by rows, each
    /// `[outᵢ, in]`. The tensors' memory must live as long as the backend, which may keep reading
    /// it.
    Weight matrix(List<HostTensor> parts);

    /// The first two matrices of a feed-forward layer for [LinearOps#swiGlu], each `[inner, in]`.
    default Weight gateUp(HostTensor gate, HostTensor up) {
        return matrix(List.of(gate, up));
    }

    /// A small weight, widened to fp32.
    Weight vector(HostTensor tensor);

    /// The matrices of a mixture of experts for [ExpertOps#experts].
    Weight experts(ExpertTensors tensors, ExpertShape shape);

    /// Working memory for activations of `rows × cols`, zeroed, in the type that this backend
    /// rounds activations to: fp32 on the CPU, bf16 on a GPU.
    Buffer buffer(String name, int rows, int cols);

    /// Working memory of `rows × cols` fp32, zeroed: rotations and logits.
    Buffer floats(String name, int rows, int cols);

    /// Makes room for what ops keep to themselves; called once, before the first step of such
    /// sizes.
    default void reserve(StepSizes sizes) {}

    /// Room for the routing of so many rows; also sizes the memory that [ExpertOps#experts] needs
    /// for them.
    Routing routing(ExpertShape shape, int hidden, int rows);

    /// The cache of one attention layer.
    KvCache kvCache(AttentionShape shape, int pageSize, int pages);

    /// The state of one delta-rule layer.
    DeltaState deltaState(DeltaShape shape, int slots);

    /// Memory of the device, and how wide it keeps values: what a plan is made from.
    MemoryBudget memory();

    /// Runs the ops of a step. A backend may record them at first sight of `ops` and of the batch's
    /// size, and replay the recording later: `ops` must be the same object in every step, call ops
    /// only, and depend on nothing but the batch.
    default void step(StepBatch batch, Runnable ops) {
        begin(batch);
        ops.run();
    }

    /// Runs the ops of `work` with every launch and copy timed and nothing recorded or replayed;
    /// empty where a backend has nothing to tell, and then nothing was run.
    ///
    /// @param work calls [#step] and what belongs to it
    default Optional<StepProfile> profile(Runnable work) {
        return Optional.empty();
    }

    /// A way to draw tokens where the logits are; empty where the host should do it.
    ///
    /// @param vocabulary width of a row of logits
    /// @param allowed ids that may be drawn
    /// @param slots sequences whose tokens are counted at the same time
    /// @param outputs tokens of a step, at most
    default Optional<TokenSampler> sampler(int vocabulary, BitSet allowed, int slots, int outputs) {
        return Optional.empty();
    }

    /// Frees everything; weights and buffers are dead afterwards.
    @Override
    void close();
}
