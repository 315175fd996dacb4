package brantas.cuda.launch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import brantas.op.AttentionShape;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// The bounds that the attention launchers size their grids and workspace by, against the rules of
/// the kernels (tiles of 64 / group tokens; splits of max(256, ⌈length / 64⌉ in whole 32s).
class AttendTest {
    private static AttentionShape shape(int kvHeads, int group) {
        return new AttentionShape(kvHeads * group, kvHeads, 256, 64, 1e-6f);
    }

    @Test
    void noSequenceHasMoreSplitsThanTheBoundOfTheLongest() {
        int most = 0;
        for (int length = 1; length < 70_000; length++) {
            int size = Math.max(256, Math.ceilDiv(Math.ceilDiv(length, 64), 32) * 32);
            most = Math.max(most, Math.ceilDiv(length, size));
            assertThat(AttendStep.mostSplits(length)).as("at %d", length).isEqualTo(most);
        }
    }

    @Test
    void partialsOfLongBatchesPassTheRangeOfAnInt() {
        assertThat(AttendStep.Partials.bytes(shape(2, 4), 3, 5)).isEqualTo(3L * 8 * 5 * 1040);
        assertThat(AttendStep.Partials.bytes(shape(4, 16), 4096, 64))
                .isEqualTo(4096L * 64 * 64 * 1040);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 6, 7, 16})
    void theBoundOfTilesIsReachedAndNotPassed(int group) {
        AttentionShape shape = shape(2, group);
        int tokens = AttendChunk.tokensPerTile(shape);
        assertThat(tokens * group).isLessThanOrEqualTo(64);
        assertThat((tokens + 1) * group).isGreaterThan(64);
        for (int rows = 2; rows < 300; rows++) {
            assertThat(AttendChunk.mostTiles(shape, rows, 1)).isEqualTo(Math.ceilDiv(rows, tokens));
        }
        // The worst case: all but one sequence have one token more than whole tiles.
        assertThat(AttendChunk.mostTiles(shape, 3 * (tokens + 1), 3)).isEqualTo(6);
        assertThat(AttendChunk.mostTiles(shape, 0, 0)).isZero();
    }

    @Test
    void shapesThatTheKernelsDoNotKnowAreRefused() {
        assertThatThrownBy(
                        () -> AttendChunk.tokensPerTile(new AttentionShape(8, 2, 128, 32, 1e-6f)))
                .hasMessage("The attention kernels are built for heads of 256, not of 128");
        assertThatThrownBy(() -> AttendChunk.tokensPerTile(shape(1, 17)))
                .hasMessage(
                        "The attention kernels take 1 to 16 query heads a KV head, not 17 for 1");
        assertThatThrownBy(
                        () -> AttendChunk.tokensPerTile(new AttentionShape(7, 2, 256, 64, 1e-6f)))
                .hasMessageContaining("not 7 for 2");
    }
}
