package brantas;

import brantas.engine.ProfiledSteps;
import brantas.format.KnownSizes;
import brantas.format.ModelConfig;
import brantas.format.RandomCheckpoint;
import brantas.op.StepProfile;
import brantas.settings.BrantasException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;

/// A prompt's step and a decode step of a GPU, piece by piece: every kernel and copy with its time
/// on the device and the time that the host took to ask for it. Kernels are launched one by one,
/// with a mark of the device's clock before and behind each; a replayed graph has narrower gaps.
///
/// @param emulated whether the device is none, so that its times mean nothing
/// @param promptTokens rows of the prompt's step; the decode step follows it
public record StepTrace(
        String model,
        String device,
        boolean emulated,
        int promptTokens,
        List<Piece> prefill,
        List<Piece> decode) {
    /// A piece of work. Times are microseconds since the step began.
    ///
    /// @param kind `kernel`, `upload`, `download` or `wait`; the last is the host's only
    /// @param name of the kernel or the copy
    /// @param detail grid and block, or bytes
    /// @param start on the device
    /// @param micros on the device
    /// @param hostStart when the host asked for it
    /// @param hostMicros how long asking took
    public record Piece(
            String kind,
            String name,
            String detail,
            double start,
            double micros,
            double hostStart,
            double hostMicros) {}

    /// Runs the steps of a checkpoint.
    ///
    /// @throws BrantasException if the backend times no steps
    public static StepTrace of(Path folder, Options options, int promptTokens) {
        check(promptTokens);
        try (LoadedModel loaded =
                LoadedModel.open(folder, options.withSequences(1), positions(promptTokens))) {
            return of(loaded, promptTokens);
        }
    }

    /// Runs the steps of a known size with random weights.
    ///
    /// @throws BrantasException if the backend times no steps
    public static StepTrace ofRandom(String size, Options options, int promptTokens) {
        check(promptTokens);
        ModelConfig config = KnownSizes.config(size).textOnly();
        try (LoadedModel loaded =
                LoadedModel.random(
                        size,
                        config,
                        options.withSequences(1),
                        positions(promptTokens),
                        progress -> RandomCheckpoint.create(size, config, 1, progress))) {
            return of(loaded, promptTokens);
        }
    }

    private static void check(int promptTokens) {
        if (promptTokens < 1) {
            throw new BrantasException("--prompt-tokens is " + promptTokens + ": use at least 1.");
        }
    }

    /// Room for the prompt, the token behind it, and the steps that went before.
    private static long positions(int promptTokens) {
        return 2L * promptTokens + 64;
    }

    private static StepTrace of(LoadedModel loaded, int promptTokens) {
        ProfiledSteps steps = ProfiledSteps.of(loaded.model(), promptTokens);
        return new StepTrace(
                loaded.source().name(),
                steps.decode().device(),
                steps.decode().emulated(),
                promptTokens,
                pieces(steps.prefill()),
                pieces(steps.decode()));
    }

    private static List<Piece> pieces(StepProfile profile) {
        return profile.pieces().stream()
                .map(p ->
                        new Piece(
                                p.kind().name().toLowerCase(Locale.ROOT),
                                p.name(),
                                p.detail(),
                                p.start(),
                                p.micros(),
                                p.hostStart(),
                                p.hostMicros()))
                .toList();
    }
}
