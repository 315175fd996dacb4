package brantas.predict;

import brantas.settings.BrantasException;

/// What a prediction is asked for.
///
/// @param model name, as it is shown
/// @param context positions of each sequence while one token is decoded
/// @param batch sequences that decode together
/// @param prompt tokens of a prompt
/// @param chunk tokens of it that one step takes
public record Request(String model, int context, int batch, int prompt, int chunk) {
    private static final int MOST = 1 << 20;

    /// Checks the numbers.
    public Request {
        range("--context", context);
        range("--batch", batch);
        range("--prompt", prompt);
        range("--chunk", chunk);
    }

    private static void range(String name, int value) {
        if (value < 1 || value > MOST) {
            throw new BrantasException(
                    "%s is %d: use a number from 1 to %d.".formatted(name, value, MOST));
        }
    }
}
