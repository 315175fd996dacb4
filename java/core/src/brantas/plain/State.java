package brantas.plain;

import brantas.op.DeltaShape;
import brantas.op.DeltaState;
import brantas.tensor.HostPages;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/// Recurrent state `[valueHead, keyDim, valueDim]` and window `[taps − 1, channels]` (oldest first)
/// of each slot, fp32.
final class State implements DeltaState {
    final DeltaShape shape;
    private final HostPages recurrent;
    private final HostPages window;

    State(Arena arena, DeltaShape shape, int slots) {
        this.shape = shape;
        long perHead = (long) shape.keyDim() * shape.valueDim();
        this.recurrent = new HostPages(arena, slots, shape.valueHeads() * perHead);
        this.window = new HostPages(arena, slots, (shape.convWidth() - 1L) * shape.channels());
    }

    @Override
    public int slots() {
        return recurrent.count();
    }

    @Override
    public void clear(int slot) {
        recurrent.clear(slot);
        window.clear(slot);
    }

    double[][] load(int slot, int head) {
        MemorySegment page = recurrent.page(slot);
        double[][] s = new double[shape.keyDim()][shape.valueDim()];
        for (int i = 0; i < s.length; i++) {
            for (int j = 0; j < s[i].length; j++) {
                s[i][j] = page.getAtIndex(ValueLayout.JAVA_FLOAT, index(head, i, j));
            }
        }
        return s;
    }

    void store(int slot, int head, double[][] s) {
        MemorySegment page = recurrent.page(slot);
        for (int i = 0; i < s.length; i++) {
            for (int j = 0; j < s[i].length; j++) {
                page.setAtIndex(ValueLayout.JAVA_FLOAT, index(head, i, j), (float) s[i][j]);
            }
        }
    }

    float tap(int slot, int age, int channel) {
        return window.page(slot)
                .getAtIndex(ValueLayout.JAVA_FLOAT, (long) age * shape.channels() + channel);
    }

    void setTap(int slot, int age, int channel, float value) {
        window.page(slot)
                .setAtIndex(ValueLayout.JAVA_FLOAT, (long) age * shape.channels() + channel, value);
    }

    private long index(int head, int i, int j) {
        return ((long) head * shape.keyDim() + i) * shape.valueDim() + j;
    }
}
