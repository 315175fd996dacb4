package brantas.cuda;

import brantas.cuda.driver.DeviceMemory;
import brantas.cuda.driver.Stream;
import brantas.op.DeltaShape;
import brantas.op.DeltaState;

/// Recurrent state of one delta-rule layer, fp32 `[slot, valueHead, value, key]`, and its
/// convolution window, bf16 `[slot, taps, channels]`: a ring in which the input of position p has
/// place p mod taps, so that a new input goes where none of those lie that it is convolved with.
record DeltaSlots(
        DeltaShape shape, int slots, DeviceMemory state, DeviceMemory window, Stream stream)
        implements DeltaState {
    /// Bytes of one slot's recurrent state.
    static long stateBytes(DeltaShape shape) {
        return 4L * shape.valueHeads() * shape.valueDim() * shape.keyDim();
    }

    /// Bytes of one slot's window.
    static long windowBytes(DeltaShape shape) {
        return 2L * shape.convWidth() * shape.channels();
    }

    @Override
    public void clear(int slot) {
        long recurrent = stateBytes(shape);
        long taps = windowBytes(shape);
        stream.fill(state, slot * recurrent, recurrent, (byte) 0);
        stream.fill(window, slot * taps, taps, (byte) 0);
    }
}
