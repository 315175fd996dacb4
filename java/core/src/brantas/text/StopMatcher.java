package brantas.text;

import java.util.List;

/// Finds stop strings in text that arrives in pieces: withholds what may be the beginning of one,
/// drops the match and everything after it. The earliest match wins, at one place the longest.
public final class StopMatcher {
    private final List<String> stops;
    private final int longest;
    private final StringBuilder held = new StringBuilder();
    private boolean matched;

    /// @param stops none empty
    public StopMatcher(List<String> stops) {
        this.stops = List.copyOf(stops);
        this.longest = stops.stream().mapToInt(String::length).max().orElse(0);
    }

    /// What is certain to stand before any stop string, after this piece.
    public String accept(String piece) {
        if (matched || stops.isEmpty()) {
            return matched ? "" : piece;
        }
        held.append(piece);
        int from = firstMatch();
        if (from >= 0) {
            matched = true;
            return take(from);
        }
        int keep = Math.min(held.length(), longest - 1);
        while (keep > 0 && !begins(held.length() - keep)) {
            keep--;
        }
        return take(held.length() - keep);
    }

    /// What was withheld, at the end of the text.
    public String flush() {
        return matched ? "" : take(held.length());
    }

    /// Whether a stop string was seen.
    public boolean matched() {
        return matched;
    }

    private int firstMatch() {
        int first = -1;
        for (String stop : stops) {
            int at = held.indexOf(stop);
            if (at >= 0 && (first < 0 || at < first)) {
                first = at;
            }
        }
        return first;
    }

    /// Whether the held text from `from` on begins some stop string.
    private boolean begins(int from) {
        int length = held.length() - from;
        for (String stop : stops) {
            if (stop.length() > length && stop.startsWith(held.substring(from))) {
                return true;
            }
        }
        return false;
    }

    private String take(int length) {
        String text = held.substring(0, length);
        held.delete(0, length);
        return text;
    }
}
