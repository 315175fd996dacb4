package brantas.op;

/// The memory that a backend computes in.
///
/// @param where whose memory it is, for messages: `this machine`, `NVIDIA H100`
/// @param available bytes that can be taken now
/// @param valueBytes bytes of an activation and of a cached key or value
/// @param copiesWeights whether weights are copied there, so that all of them must fit
public record MemoryBudget(String where, long available, int valueBytes, boolean copiesWeights) {}
