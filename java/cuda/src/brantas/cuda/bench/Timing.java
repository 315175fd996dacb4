package brantas.cuda.bench;

import brantas.cuda.driver.Event;
import brantas.cuda.driver.Graph;
import brantas.cuda.driver.Stream;
import java.util.Arrays;
import java.util.function.IntConsumer;

/// How long a launch takes: a graph of many launches, in which copies of the weights take turns so
/// that none finds its own in the cache, replayed again and again between two marks.
///
/// @param median microseconds of a launch
/// @param least microseconds of a launch
/// @param repeats graphs that were timed
/// @param launches of a graph
record Timing(double median, double least, int repeats, int launches) {
    /// What a graph should take at least, so that the marks do not show.
    private static final double LONG_ENOUGH = 400;

    private static final int MOST_LAUNCHES = 256;

    /// How often.
    record Effort(int warmups, int repeats, boolean once) {
        static final Effort FULL = new Effort(10, 100, false);

        /// For the emulated device, where time means nothing.
        static final Effort TOKEN = new Effort(1, 3, true);
    }

    static Timing of(Workbench bench, IntConsumer launch, int copies, Effort effort) {
        Stream stream = bench.stream();
        try (Event begin = bench.device().event(true);
                Event end = bench.device().event(true)) {
            // Launched once each before: everything is loaded and granted.
            Runnable round =
                    () -> {
                        for (int i = 0; i < copies; i++) {
                            launch.accept(i);
                        }
                    };
            round.run();
            stream.synchronize();
            double one = micros(stream, begin, end, round) / copies;
            int rounds = 1;
            while (!effort.once
                    && rounds * copies * one < LONG_ENOUGH
                    && 2 * rounds * copies <= MOST_LAUNCHES) {
                rounds *= 2;
            }
            int launches = rounds * copies;
            Runnable all =
                    () -> {
                        for (int i = 0; i < launches; i++) {
                            launch.accept(i % copies);
                        }
                    };
            try (Graph graph = Graph.capture(stream, all)) {
                for (int i = 0; i < effort.warmups; i++) {
                    graph.launch(stream);
                }
                double[] times = new double[effort.repeats];
                for (int i = 0; i < times.length; i++) {
                    times[i] = micros(stream, begin, end, () -> graph.launch(stream)) / launches;
                }
                Arrays.sort(times);
                return new Timing(times[times.length / 2], times[0], times.length, launches);
            }
        }
    }

    private static double micros(Stream stream, Event begin, Event end, Runnable work) {
        stream.record(begin);
        work.run();
        stream.record(end);
        end.synchronize();
        return 1e3 * end.millisecondsSince(begin);
    }
}
