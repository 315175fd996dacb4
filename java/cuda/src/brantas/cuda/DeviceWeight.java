package brantas.cuda;

import brantas.cuda.driver.DeviceMemory;
import brantas.cuda.launch.Matrix;
import brantas.op.Weight;

/// A parameter on the device: a bf16 matrix `[out, in]`, or a small fp32 vector as a matrix of one
/// row.
///
/// @param bytes that reading the whole weight once moves
record DeviceWeight(String name, Matrix matrix, long bytes, DeviceMemory memory) implements Weight {
    /// Address of the first element.
    long address() {
        return matrix.address();
    }
}
