package brantas.cuda;

import brantas.cuda.driver.DeviceMemory;
import brantas.cuda.launch.ExpertGemm;
import brantas.cuda.launch.Matrix;
import brantas.op.ExpertShape;
import brantas.op.ExpertTensors;
import brantas.op.Weight;
import brantas.tensor.HostTensor;
import java.lang.foreign.MemorySegment;

/// The matrices of a mixture of experts on the device, bf16: gate and up of an expert as one matrix
/// whose rows alternate in groups of eight (eight gate rows, then the eight up rows that belong to
/// them), so that SwiGLU finds both in one thread; down as stored. The shared expert has matrices
/// of its own.
///
/// @param bytes of all matrices
record ExpertWeights(String name, ExpertGemm.Experts matrices, long bytes) implements Weight {
    private static final int GROUP = 8;

    /// Inner width with whole groups.
    static int padded(int inner) {
        return Math.ceilDiv(inner, GROUP) * GROUP;
    }

    static ExpertWeights of(Store store, ExpertTensors t, ExpertShape shape) {
        String name = t.gate().getFirst().name();
        int routed = shape.experts();
        int hidden = t.down().getFirst().dim(0);
        Pair experts = Pair.of(store, name, hidden, shape.inner(), routed);
        Pair shared = Pair.of(store, name, hidden, shape.sharedInner(), 1);
        for (int e = 0; e < routed; e++) {
            experts.upload(store, e, t.gate().get(e), t.up().get(e), t.down().get(e));
        }
        shared.upload(store, 0, t.gate().get(routed), t.up().get(routed), t.down().get(routed));
        ExpertGemm.Experts matrices =
                new ExpertGemm.Experts(
                        routed, experts.up(), experts.down(), shared.up(), shared.down());
        long values = 3L * hidden * ((long) routed * shape.inner() + shape.sharedInner());
        return new ExpertWeights(name, matrices, 2 * values);
    }

    /// Gate with up, and down, of the first of several equal experts.
    private record Pair(Matrix up, Matrix down, DeviceMemory upMemory, DeviceMemory downMemory) {
        static Pair of(Store store, String name, int hidden, int inner, int count) {
            int wide = DeviceBuffer.stride(hidden, false);
            int narrow = DeviceBuffer.stride(inner, false);
            int upRows = 2 * padded(inner);
            DeviceMemory up = store.allocate(name, 2L * count * upRows * wide);
            DeviceMemory down = store.allocate(name, 2L * count * hidden * narrow);
            return new Pair(
                    new Matrix(up.address(), upRows, hidden, wide),
                    new Matrix(down.address(), hidden, inner, narrow),
                    up,
                    down);
        }

        void upload(Store store, int expert, HostTensor gate, HostTensor upper, HostTensor lower) {
            store.requireBf16(lower);
            uploadPair(store, upMemory, 2L * expert * up.rows() * up.stride(), up, gate, upper);
            long downBytes = 2L * down.stride();
            store.uploader(downBytes)
                    .rows(
                            downMemory,
                            (long) expert * down.rows() * downBytes,
                            down.rows(),
                            downBytes,
                            (row, to) -> copyRow(lower, row, to));
        }
    }

    /// Gate and up of a dense feed-forward, in the experts' order.
    static DeviceWeight gateUp(Store store, HostTensor gate, HostTensor up) {
        int cols = gate.dim(1);
        int rows = 2 * padded(gate.dim(0));
        int stride = DeviceBuffer.stride(cols, false);
        DeviceMemory memory = store.allocate(gate.name(), 2L * rows * stride);
        Matrix matrix = new Matrix(memory.address(), rows, cols, stride);
        uploadPair(store, memory, 0, matrix, gate, up);
        long bytes = gate.data().byteSize() + up.data().byteSize();
        return new DeviceWeight(gate.name(), matrix, bytes, memory);
    }

    /// Rows of both in turn, eight of each.
    ///
    /// @param at byte of the memory
    private static void uploadPair(
            Store store, DeviceMemory to, long at, Matrix pair, HostTensor gate, HostTensor up) {
        store.requireBf16(gate);
        store.requireBf16(up);
        long inner = gate.dim(0);
        long rowBytes = 2L * pair.stride();
        store.uploader(rowBytes)
                .rows(
                        to,
                        at,
                        pair.rows(),
                        rowBytes,
                        (row, place) -> {
                            long from = row / (2 * GROUP) * GROUP + row % GROUP;
                            if (from < inner) {
                                boolean first = row % (2 * GROUP) < GROUP;
                                copyRow(first ? gate : up, from, place);
                            }
                        });
    }

    /// A row of a bf16 matrix as stored.
    static void copyRow(HostTensor t, long row, MemorySegment to) {
        long bytes = 2 * t.elements() / t.dim(0);
        MemorySegment.copy(t.data(), row * bytes, to, 0, bytes);
    }
}
