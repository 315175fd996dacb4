package brantas.cuda;

import brantas.cuda.driver.DeviceInfo;
import brantas.cuda.driver.Rows;
import brantas.cuda.driver.Stream;
import brantas.cuda.driver.Timeline;
import brantas.op.RowSpan;
import brantas.op.StepBatch;
import brantas.op.StepProfile;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// The step that ops work on, and what its row counts become in launches: numbers when the step is
/// run, and the size of a bucket with the address of the true number when it is recorded.
final class CurrentStep {
    private final Stream stream;
    private @Nullable StepBlock block;
    private @Nullable StepBatch batch;
    private int bucket;
    private int splits;

    CurrentStep(Stream stream) {
        this.stream = stream;
    }

    Stream stream() {
        return stream;
    }

    /// Ops that follow belong to this batch.
    void begin(StepBatch of, StepBlock image) {
        batch = of;
        block = image;
    }

    /// Ops that follow are recorded for every step of up to `rows` single rows whose sequences are
    /// attended to in up to `keySplits` splits; 0 rows ends that.
    void record(int rows, int keySplits) {
        bucket = rows;
        splits = keySplits;
    }

    boolean recording() {
        return bucket > 0;
    }

    /// Splits that attention of recorded steps has room for.
    int recordedSplits() {
        return splits;
    }

    StepBatch batch() {
        if (batch == null) {
            throw new IllegalStateException("no step was begun");
        }
        return batch;
    }

    StepBlock block() {
        if (block == null) {
            throw new IllegalStateException("no step was begun");
        }
        return block;
    }

    /// Address of the step block.
    long address() {
        return block().address();
    }

    /// All rows of a span.
    Rows all(RowSpan span) {
        return recording() ? recorded(span) : Rows.of(0, span.rows());
    }

    /// Its rows that are alone in their sequence.
    Rows singles(RowSpan span) {
        return recording() ? recorded(span) : Rows.of(0, span.singles());
    }

    /// Its other rows; none in a recorded step.
    Rows several(RowSpan span) {
        return recording() ? Rows.of(0, 0) : Rows.of(span.singles(), span.rows());
    }

    /// Whether there are rows, `most` at most, and each is alone in its sequence.
    boolean hasOnlySingles(RowSpan span, int most) {
        int count = singles(span).count();
        return count > 0 && count <= most && several(span).count() == 0;
    }

    private Rows recorded(RowSpan span) {
        long live =
                switch (span.of()) {
                    case STEP -> block().rowsAddress();
                    case OUTPUTS -> block().windowRowsAddress();
                    case FREE ->
                            throw new IllegalStateException(
                                    "a recorded step works on its own rows only");
                };
        return new Rows(live, 0, bucket);
    }

    /// Runs `work` with the stream watched.
    StepProfile profile(DeviceInfo info, Runnable work) {
        try (Timeline timeline = Timeline.watch(stream)) {
            work.run();
            List<StepProfile.Piece> pieces =
                    timeline.entries().stream().map(CurrentStep::piece).toList();
            return new StepProfile(info.name(), info.emulated(), pieces);
        }
    }

    private static StepProfile.Piece piece(Timeline.Entry e) {
        StepProfile.Kind kind =
                switch (e.kind()) {
                    case KERNEL -> StepProfile.Kind.KERNEL;
                    case UPLOAD -> StepProfile.Kind.UPLOAD;
                    case DOWNLOAD -> StepProfile.Kind.DOWNLOAD;
                    case WAIT -> StepProfile.Kind.WAIT;
                };
        return new StepProfile.Piece(
                kind, e.name(), e.detail(), e.start(), e.micros(), e.hostStart(), e.hostMicros());
    }

    /// Pieces of `size` rows that the sequences with several rows are cut into.
    int tiles(int size) {
        if (recording()) {
            return 0;
        }
        StepBatch b = batch();
        int tiles = 0;
        for (int s = b.span().singles(); s < b.sequences(); s++) {
            tiles += Math.ceilDiv(b.rowCount(s), size);
        }
        return tiles;
    }
}
