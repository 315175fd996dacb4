package brantas.engine;

import brantas.format.ModelConfig;
import brantas.model.ModelState;
import brantas.model.Workspace;
import brantas.op.MemoryBudget;
import brantas.settings.BrantasException;
import java.util.Locale;

/// What a model and an engine will take, worked out before anything is loaded.
///
/// @param weights bytes of all tensors
/// @param kvPerToken bytes of keys and values for one position
/// @param statePerSequence bytes of recurrent state for one sequence
/// @param workspace bytes of intermediates
/// @param context positions that all sequences share
/// @param sequences sequences at once
/// @param memory where all this has to fit
public record MemoryPlan(
        long weights,
        long kvPerToken,
        long statePerSequence,
        long workspace,
        long context,
        int sequences,
        MemoryBudget memory) {
    private static final long USUAL_CONTEXT = 32_768;
    private static final long LEAST_CONTEXT = 1_024;
    private static final long JVM = 150L << 20;

    /// Plans an engine.
    ///
    /// @param context positions wanted; 0 takes the usual number, less if the memory asks for it
    /// @param memory of the backend
    public static MemoryPlan of(
            ModelConfig config, long weights, long context, int sequences, MemoryBudget memory) {
        long perToken = ModelState.kvBytesPerToken(config, memory.valueBytes());
        long state = ModelState.stateBytes(config, memory.valueBytes());
        EngineLimits limits = EngineLimits.of(sequences, 0);
        long workspace = Workspace.bytes(config, limits.rows(), sequences, memory.valueBytes());
        long available = memory.available();
        long wanted = context;
        if (context == 0) {
            wanted = Math.min(config.maxPositions(), USUAL_CONTEXT);
            long left = available - weights - workspace - sequences * state - host(memory);
            long fitting = perToken == 0 ? wanted : left / 2 / perToken;
            wanted = Math.clamp(fitting, Math.min(LEAST_CONTEXT, wanted), wanted);
        }
        return new MemoryPlan(weights, perToken, state, workspace, wanted, sequences, memory);
    }

    /// The Java virtual machine takes its part of host memory only.
    private static long host(MemoryBudget memory) {
        return memory.copiesWeights() ? 0 : JVM;
    }

    /// Everything together, the Java virtual machine included.
    public long total() {
        return weights
                + kvPerToken * context
                + statePerSequence * sequences
                + workspace
                + host(memory);
    }

    /// Refuses what does not fit, with the numbers and what to change.
    public void check(String model) {
        long available = memory.available();
        if (total() > available) {
            throw new BrantasException(
                    String.format(
                            Locale.ROOT,
                            "%s needs %s (weights %s, KV cache %s for %d positions, state %s for %d sequences, workspace %s)"
                                    + " and %s has %s available, %s too little: lower --context or --sequences,"
                                    + " or take a smaller model.",
                            model,
                            gib(total()),
                            gib(weights),
                            gib(kvPerToken * context),
                            context,
                            gib(statePerSequence * sequences),
                            sequences,
                            gib(workspace),
                            memory.where(),
                            gib(available),
                            gib(total() - available)));
        }
    }

    private static String gib(long bytes) {
        return String.format(Locale.ROOT, "%.2f GiB", bytes / (double) (1L << 30));
    }
}
