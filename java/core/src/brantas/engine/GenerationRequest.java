package brantas.engine;

import brantas.settings.Sampling;
import java.util.Set;

/// What the engine needs to know of a request: ids in, limits, how to draw. No strings.
///
/// @param prompt at least one id
/// @param maxTokens most ids to generate, at least 1
/// @param sampling how to draw
/// @param stopIds ids that end the sequence; they are not delivered
public record GenerationRequest(
        int[] prompt, int maxTokens, Sampling sampling, Set<Integer> stopIds) {}
