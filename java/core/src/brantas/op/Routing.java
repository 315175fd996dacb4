package brantas.op;

/// Which experts each row uses, with which weights, and the gate of the shared expert: the output
/// of [ExpertOps#route], read by [ExpertOps#experts]. Lives where the backend computes.
public interface Routing {
    /// Capacity in rows.
    int rows();
}
