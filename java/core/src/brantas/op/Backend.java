package brantas.op;

import brantas.tensor.Buffer;
import brantas.tensor.HostTensor;
import java.util.List;

/// Everything a forward pass needs of a device: it turns stored tensors into weights, owns all
/// working memory, and runs the ops. Calls name the destination first, take a whole batch, and
/// never allocate; memory is sized at load. One thread uses a backend at a time.
public interface Backend
        extends RowOps, NormOps, LinearOps, DeltaOps, AttentionOps, ExpertOps, AutoCloseable {
    /// `plain`, `simd`, …
    String name();

    /// What it runs on, for people: vector width, threads, device.
    String description();

    /// A matrix for [LinearOps] (or a table for [RowOps#embed]): the parts stacked by rows, each
    /// `[outᵢ, in]`. The tensors' memory must live as long as the backend, which may keep reading
    /// it.
    Weight matrix(List<HostTensor> parts);

    /// A small weight, widened to fp32.
    Weight vector(HostTensor tensor);

    /// The matrices of a mixture of experts for [ExpertOps#experts].
    Weight experts(ExpertTensors tensors, ExpertShape shape);

    /// Working memory of `rows × cols` fp32, zeroed.
    Buffer buffer(String name, int rows, int cols);

    /// Room for the routing of so many rows; also sizes the memory that [ExpertOps#experts] needs
    /// for them.
    Routing routing(ExpertShape shape, int hidden, int rows);

    /// The cache of one attention layer.
    KvCache kvCache(AttentionShape shape, int pageSize, int pages);

    /// The state of one delta-rule layer.
    DeltaState deltaState(DeltaShape shape, int slots);

    /// Frees everything; weights and buffers are dead afterwards.
    @Override
    void close();
}
