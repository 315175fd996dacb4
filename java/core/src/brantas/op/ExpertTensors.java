package brantas.op;

import brantas.tensor.HostTensor;
import java.util.List;

/// The matrices of a mixture of experts as stored: one entry an expert, the shared expert last.
///
/// @param gate `[inner, hidden]` each
/// @param up `[inner, hidden]` each
/// @param down `[hidden, inner]` each
public record ExpertTensors(List<HostTensor> gate, List<HostTensor> up, List<HostTensor> down) {}
