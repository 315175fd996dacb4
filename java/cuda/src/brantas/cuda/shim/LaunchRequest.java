package brantas.cuda.shim;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/// One launch as [Shim] takes it: `brantas_shim_request` of the shim's header, in memory that does
/// not move. It is written anew for each launch of a function and belongs to one thread.
public final class LaunchRequest {
    private static final long BYTES = 56;
    private static final long FUNCTION = 0;
    private static final long STREAM = 8;
    private static final long PARAMETERS = 16;
    private static final long GRID = 24;
    private static final long BLOCK = 36;
    private static final long SHARED = 40;
    private static final long FLAGS = 44;
    private static final long CLUSTER = 48;

    private final MemorySegment memory;

    /// @param function handle of the function
    /// @param parameters address of the array of parameter addresses
    public LaunchRequest(Arena arena, long function, long parameters) {
        memory = arena.allocate(BYTES, Long.BYTES);
        memory.set(JAVA_LONG, FUNCTION, function);
        memory.set(JAVA_LONG, PARAMETERS, parameters);
    }

    /// Handle of the stream; 0 is the default one.
    public LaunchRequest stream(long stream) {
        memory.set(JAVA_LONG, STREAM, stream);
        return this;
    }

    /// Blocks.
    public LaunchRequest grid(int x, int y, int z) {
        memory.set(JAVA_INT, GRID, x);
        memory.set(JAVA_INT, GRID + Integer.BYTES, y);
        memory.set(JAVA_INT, GRID + 2 * Integer.BYTES, z);
        return this;
    }

    /// Threads of a block and its dynamic shared memory.
    public LaunchRequest block(int threads, int sharedBytes) {
        memory.set(JAVA_INT, BLOCK, threads);
        memory.set(JAVA_INT, SHARED, sharedBytes);
        return this;
    }

    /// @param flags [Shim#PROGRAMMATIC] or 0
    /// @param clusterX blocks of a cluster; 0 and 1 mean none
    public LaunchRequest attributes(int flags, int clusterX) {
        memory.set(JAVA_INT, FLAGS, flags);
        memory.set(JAVA_INT, CLUSTER, clusterX);
        return this;
    }

    /// Where the request lies; fails once its arena is closed.
    long address() {
        if (!memory.scope().isAlive()) {
            throw new IllegalStateException("the launch request's arena is closed");
        }
        return memory.address();
    }
}
