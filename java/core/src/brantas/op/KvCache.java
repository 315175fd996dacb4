package brantas.op;

/// Keys and values of one attention layer in pages; made by a backend, which alone knows the
/// layout. Sequences address it through the page table of the batch.
public interface KvCache {
    /// Positions of one page.
    int pageSize();
}
