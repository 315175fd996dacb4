package brantas.cuda.launch;

/// A matrix in device memory, row-major: what a kernel is told of a buffer.
///
/// @param address of the first element
/// @param rows capacity in rows
/// @param cols values of a row
/// @param stride elements from one row to the next; those beyond `cols` are zero
public record Matrix(long address, int rows, int cols, int stride) {}
