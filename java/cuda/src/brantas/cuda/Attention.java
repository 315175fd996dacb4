package brantas.cuda;

import brantas.cuda.driver.DeviceMemory;
import brantas.cuda.driver.Module;
import brantas.cuda.launch.AttendChunk;
import brantas.cuda.launch.AttendStep;
import brantas.cuda.launch.Rotations;
import brantas.cuda.launch.StoreKv;
import brantas.op.AttentionNorms;
import brantas.op.AttentionShape;
import brantas.op.Rope;
import brantas.op.StepBatch;
import brantas.op.StepSizes;
import brantas.settings.BrantasException;
import java.lang.foreign.MemorySegment;
import java.util.IdentityHashMap;
import org.jspecify.annotations.Nullable;

/// Gated attention: rotations once a step, then per layer norm, rotation and cache, and attention
/// itself; single rows split their keys over blocks, longer sequences take tiles of rows.
final class Attention {
    private static final int HEAD_DIM = 256;
    private static final int MOST_GROUP = 16;

    private final Store store;
    private final CurrentStep step;
    private final Rotations rotations;
    private final StoreKv storeKv;
    private final AttendChunk chunk;
    private final AttendStep single;
    private final IdentityHashMap<Rope, Rotations.Turns> turns = new IdentityHashMap<>();
    private @Nullable Room room;

    /// Where the splits of single rows meet. The device gives memory out as zeros, and that is what
    /// the counters of arrivals start from; launches leave them so, and nothing else writes there.
    private record Room(DeviceMemory partials, DeviceMemory arrivals) {
        boolean holds(long partialBytes, long arrivalBytes) {
            return partials.bytes() >= partialBytes && arrivals.bytes() >= arrivalBytes;
        }
    }

    Attention(Store store, CurrentStep step, Module module) {
        this.store = store;
        this.step = step;
        rotations = new Rotations(module);
        storeKv = new StoreKv(module);
        chunk = new AttendChunk(module);
        single = new AttendStep(module);
    }

    /// Refuses shapes that no kernel is built for.
    static void check(AttentionShape shape) {
        if (shape.headDim() != HEAD_DIM || shape.group() > MOST_GROUP) {
            throw new BrantasException(
                    "The cuda backend attends with heads of 256 values, up to 16 of them to a KV head,"
                            + " and this model has heads of "
                            + shape.headDim()
                            + ", "
                            + shape.group()
                            + " to a KV head: use --backend simd.");
        }
    }

    void reserve(StepSizes sizes) {
        int rows = StepRecorder.bucket(sizes.sequences());
        room(sizes.attention(), rows, AttendStep.mostSplits(Integer.MAX_VALUE));
    }

    /// Splits that the keys of the longest sequence with a single row are cut into.
    int splits(StepBatch batch) {
        int longest = 1;
        for (int s = 0; s < batch.span().singles(); s++) {
            longest = Math.max(longest, batch.past(s) + 1);
        }
        return AttendStep.mostSplits(longest);
    }

    void rotations(DeviceBuffer dst, Rope rope, StepBatch batch) {
        Rotations.Turns now = turns.get(rope);
        if (now == null) {
            now = upload(rope);
            turns.put(rope, now);
        }
        rotations.launch(step.stream(), dst.matrix(), now, step.address(), step.all(batch.span()));
    }

    private Rotations.Turns upload(Rope rope) {
        int pairs = rope.frequencies().length;
        DeviceMemory frequencies =
                store.upload(
                        "rotary frequencies",
                        4L * pairs,
                        MemorySegment.ofArray(rope.frequencies()));
        DeviceMemory axis =
                store.upload("rotary axes", 4L * pairs, MemorySegment.ofArray(rope.axis()));
        return new Rotations.Turns(frequencies.address(), axis.address(), pairs, rope.scale());
    }

    void storeKv(
            DeviceBuffer q,
            DeviceBuffer projected,
            AttentionNorms norms,
            DeviceBuffer turned,
            KvPlanes cache,
            StepBatch batch) {
        StoreKv.Operands operands =
                new StoreKv.Operands(
                        q.matrix(),
                        projected.matrix(),
                        turned.matrix(),
                        CudaBackend.device(norms.query()).address(),
                        CudaBackend.device(norms.key()).address());
        storeKv.launch(
                step.stream(),
                operands,
                pages(cache),
                cache.shape(),
                step.address(),
                step.all(batch.span()));
    }

    private static StoreKv.Pages pages(KvPlanes cache) {
        return new StoreKv.Pages(
                cache.keys().address(), cache.values().address(), cache.pageSize());
    }

    void attend(
            DeviceBuffer dst,
            DeviceBuffer q,
            DeviceBuffer projected,
            KvPlanes cache,
            StepBatch batch) {
        AttendChunk.Operands operands =
                new AttendChunk.Operands(dst.matrix(), q.matrix(), projected.matrix());
        AttentionShape shape = cache.shape();
        int singles = step.singles(batch.span()).count();
        if (singles > 0) {
            int splits = step.recording() ? step.recordedSplits() : splits(batch);
            AttendStep.Partials partials = room(shape, singles, splits);
            single.launch(step.stream(), operands, pages(cache), shape, step.address(), partials);
        }
        int tiles = step.tiles(AttendChunk.tokensPerTile(shape));
        chunk.launch(step.stream(), operands, pages(cache), shape, step.address(), tiles);
    }

    /// What was reserved; more only where nobody reserved.
    private AttendStep.Partials room(AttentionShape shape, int rows, int splits) {
        long bytes = AttendStep.Partials.bytes(shape, rows, splits);
        long arrivalBytes = AttendStep.Partials.arrivalBytes(shape, rows);
        Room now = room;
        if (now == null || !now.holds(bytes, arrivalBytes)) {
            now =
                    new Room(
                            store.allocate("attention partials", bytes),
                            store.allocate("attention arrivals", arrivalBytes));
            room = now;
        }
        return new AttendStep.Partials(
                now.partials().address(), now.arrivals().address(), rows, splits);
    }
}
