package brantas.engine;

import brantas.cache.SequenceCache;
import brantas.sample.Counts;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/// A request inside the engine: its tokens, how many of them the caches hold, and its share of the
/// caches.
final class Sequence {
    final GenerationRequest request;
    final Generation generation;
    final Counts counts;
    private final int[] stops;
    private int[] tokens;
    private int length;
    private int computed;
    private @Nullable SequenceCache cache;

    Sequence(GenerationRequest request, Generation generation, int vocabulary) {
        this.request = request;
        this.generation = generation;
        this.tokens = request.prompt().clone();
        this.length = tokens.length;
        this.stops = request.stopIds().stream().mapToInt(Integer::intValue).toArray();
        this.counts = new Counts(request.sampling().penalises() ? vocabulary : 0);
        for (int id : tokens) {
            counts.prompt(id);
        }
    }

    /// Whether the request ends at this id.
    boolean stopsAt(int id) {
        for (int stop : stops) {
            if (stop == id) {
                return true;
            }
        }
        return false;
    }

    /// Positions it may come to hold: the reservation.
    long positions() {
        return (long) request.prompt().length + request.maxTokens();
    }

    int length() {
        return length;
    }

    int computed() {
        return computed;
    }

    int pending() {
        return length - computed;
    }

    int token(int index) {
        return tokens[index];
    }

    int generated() {
        return length - request.prompt().length;
    }

    SequenceCache cache() {
        if (cache == null) {
            throw new IllegalStateException("not admitted");
        }
        return cache;
    }

    void admit(SequenceCache share) {
        cache = share;
    }

    void advance(int count) {
        computed += count;
    }

    void append(int id) {
        if (length == tokens.length) {
            tokens = Arrays.copyOf(tokens, 2 * length);
        }
        tokens[length++] = id;
        counts.generated(id);
    }

    void release() {
        if (cache != null) {
            cache.release();
        }
    }
}
