// A gated delta-rule layer with the convolution in front of it, for tests of kernels that convolve or come behind those: inputs
// before convolution, as large as those that DeltaInputs draws for behind it (short keys stay short), convolved by
// convolve_chunk, and what the recurrence makes of that.
#pragma once
#include "delta_layer.hpp"

#include "../../cuda-kernels/convolve.cu"

struct ConvolvedLayer {
    DeltaInputs in;
    std::vector<bf16> raw;        // [rows, channels]
    std::vector<f32> weight;      // [channels, 4]
    std::vector<bf16> window;     // [slots, 4, channels]; poison where nothing may be read

    ConvolvedLayer(const DeltaCase& wish, const std::vector<TestSequence>& sequences, i32 slots) : in(wish, sequences, slots) {
        Random random(2000 + wish.stream);
        const i32 channels = wish.channels();
        for (f32 x : in.convolved) raw.push_back(to_bf16(x));
        for (i32 i = 0; i < 4 * channels; i++) weight.push_back(static_cast<f32>((i % 4 == 3 ? 1 : 0.3) * random.normal()));
        window.assign(static_cast<size_t>(slots * WINDOW_PLACES * channels), bf16{0xffff});
        i32 row = 0;
        for (const TestSequence& s : sequences) {
            for (i32 age = 1; age <= CONVOLVE_PAST && s.slot >= 0; age++)
                for (i32 c = 0; c < channels; c++)
                    window[window_at(s.slot, s.past - age, c)] =
                        to_bf16(static_cast<f32>(random.normal() * as_double(raw[static_cast<size_t>(row * channels + c)])));
            row += s.rows;
        }
        convolve();
        in.solve();
    }

    size_t window_at(i32 slot, i32 position, i32 channel) const {
        i32 place = (position + WINDOW_PLACES) % WINDOW_PLACES;
        return static_cast<size_t>((slot * WINDOW_PLACES + place) * in.is.channels() + channel);
    }

private:
    /// By the kernel for sequences with several rows, to which all belong here.
    void convolve() {
        const i32 channels = in.is.channels();
        StepBlock step(in.sequences);
        step.step().singles = 0;
        DeviceArray<bf16> projected(raw, "projected"), dst(raw.size(), "convolved"), kept(window, "window");
        DeviceArray<f32> taps(weight, "weight");
        i32 tiles = 0;
        for (const TestSequence& s : in.sequences) tiles += (s.rows + CONVOLVE_TILE - 1) / CONVOLVE_TILE;
        launch(KERNEL_OF(convolve_chunk), {tiles, (channels + 255) / 256}, 128, 0,
               ConvolveChunkArgs{dst.address(), projected.address(), taps.address(), kept.address(), step.address(), channels,
                                 channels, channels, 0});
        for (size_t i = 0; i < raw.size(); i++) in.convolved[i] = to_float(dst[i]);
    }
};
