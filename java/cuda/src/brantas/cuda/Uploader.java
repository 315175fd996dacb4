package brantas.cuda;

import brantas.cuda.driver.Device;
import brantas.cuda.driver.DeviceMemory;
import brantas.cuda.driver.Event;
import brantas.cuda.driver.PinnedMemory;
import brantas.cuda.driver.Stream;
import java.lang.foreign.MemorySegment;

/// Streams weights from mapped files to the device through two pinned blocks: while one is copied,
/// the other is filled. Rows are laid out as the device wants them on the way.
final class Uploader implements AutoCloseable {
    private static final long BLOCK = 16L << 20;

    private final Stream stream;
    private final PinnedMemory[] blocks = new PinnedMemory[2];
    private final Event[] copied = new Event[2];
    private final long capacity;
    private int turn;

    /// Fills one row of a matrix on its way.
    @FunctionalInterface
    interface RowSource {
        /// @param to the row, zeroed, as wide as the device's rows
        void read(long row, MemorySegment to);
    }

    /// @param widestRow bytes of the widest row there will be, at least
    Uploader(Device device, Stream stream, long widestRow) {
        this.stream = stream;
        this.capacity = Math.max(BLOCK, widestRow);
        for (int i = 0; i < 2; i++) {
            blocks[i] = device.allocatePinned("weight staging", capacity);
            copied[i] = device.event(false);
        }
    }

    /// Whether rows of so many bytes fit.
    boolean fits(long rowBytes) {
        return rowBytes <= capacity;
    }

    /// Uploads `rows` rows of `rowBytes` each to `offset` on.
    void rows(DeviceMemory dst, long offset, long rows, long rowBytes, RowSource source) {
        long some = Math.max(1, capacity / rowBytes);
        for (long from = 0; from < rows; from += some) {
            long count = Math.min(some, rows - from);
            turn ^= 1;
            copied[turn].synchronize();
            MemorySegment block = blocks[turn].segment().asSlice(0, count * rowBytes);
            block.fill((byte) 0);
            for (long r = 0; r < count; r++) {
                source.read(from + r, block.asSlice(r * rowBytes, rowBytes));
            }
            stream.copyIn(dst, offset + from * rowBytes, blocks[turn], 0, count * rowBytes);
            stream.record(copied[turn]);
        }
    }

    @Override
    public void close() {
        for (int i = 0; i < 2; i++) {
            copied[i].synchronize();
            blocks[i].close();
            copied[i].close();
        }
    }
}
