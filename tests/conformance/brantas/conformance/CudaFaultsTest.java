package brantas.conformance;

import static org.assertj.core.api.Assertions.assertThat;

import brantas.cuda.driver.Emulator;
import brantas.settings.BrantasException;
import brantas.settings.Sampling;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.Timeout.ThreadMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Every call to the driver that a run makes fails once: opening, loading, a prompt, a step that is
/// run, one that is recorded, one that is replayed. Each failure is one sentence for whoever waits;
/// afterwards the engine answers as if nothing had been, or, where the device is lost, says so; and
/// closing leaves nothing behind.
@Timeout(value = 10, unit = TimeUnit.MINUTES, threadMode = ThreadMode.SEPARATE_THREAD)
@Tag("thorough")
class CudaFaultsTest {
    private static final GoldenModel GOLDEN = GoldenModel.of("moe", "moe");
    private static final int[] PROMPT = {3, 141, 59, 26, 5};
    private static final int TOKENS = 5;

    /// With penalties, so that every op takes part.
    private static final Sampling HOW = new Sampling(0.9, 0.95, 40, 0.01, 0.5, 0.25, 1.1, 77);

    /// Failures of a kind are injected into the first so many calls.
    private static final int FIRST = 60;

    /// And into so many of the rest.
    private static final int SPREAD = 24;

    /// And into the last.
    private static final int LAST = 12;

    /// Into so many where kernels compute.
    private static final int FEW = 6;

    /// What a sentence for users names: the driver's function, or what there was no memory for.
    private static final String NAMES_WHAT_FAILED =
            "(?s).*(cu[A-Z]\\w+ failed for|needs \\d+ MiB|lacks kernel|kernel image).*";

    /// Failures after which the driver refuses to free and destroy anything; all goes with the
    /// context, of which the stand-in driver counts device memory and streams.
    private static final Set<String> LOSING = Set.of("KERNEL", "COPY");

    /// How a run with one failure went.
    ///
    /// @param opened whether there was an engine
    /// @param failures what users were told, at opening or for a request
    /// @param second what a second request to the same engine gave, null without an engine
    private record Outcome(
            boolean opened,
            List<RuntimeException> failures,
            @Nullable List<Integer> first,
            @Nullable List<Integer> second) {}

    /// How the emulated device works meanwhile.
    ///
    /// @param streams `immediate` or `deferred`
    /// @param kernels `run`, or `skip` for many runs: then tokens say nothing
    /// @param right tokens without failures
    private record Way(String streams, String kernels, List<Integer> right) {
        static Way of(String streams, String kernels) {
            new Way(streams, kernels, List.of()).choose();
            Outcome outcome = attempt();
            assertThat(outcome.failures()).isEmpty();
            List<Integer> right = Objects.requireNonNull(outcome.first());
            assertThat(right).hasSize(TOKENS).isEqualTo(outcome.second());
            return new Way(streams, kernels, right);
        }

        void choose() {
            Emulator.reset();
            Emulator.choose("STREAMS", streams);
            Emulator.choose("KERNELS", kernels);
        }

        /// A fresh run gives what it gave before.
        void again() {
            assertThat(Way.of(streams, kernels)).isEqualTo(this);
        }

        @Override
        public String toString() {
            return "streams " + streams + ", kernels " + kernels;
        }
    }

    @BeforeEach
    @AfterEach
    void forget() {
        Emulator.reset();
    }

    /// A whole run; failures that come while something is opened or answered are noted, any while
    /// closing is thrown.
    private static Outcome attempt() {
        List<RuntimeException> failures = new ArrayList<>();
        List<Integer> first = null;
        List<Integer> second = null;
        boolean opened = false;
        EmulatedEngine engine = null;
        try {
            engine = EmulatedEngine.open(GOLDEN, true);
            opened = true;
        } catch (RuntimeException e) {
            failures.add(e);
        }
        if (engine != null) {
            try (EmulatedEngine open = engine) {
                first = answer(open, failures);
                second = answer(open, failures);
            }
        }
        return new Outcome(opened, failures, first, second);
    }

    private static @Nullable List<Integer> answer(
            EmulatedEngine engine, List<RuntimeException> failures) {
        try {
            return engine.generate(PROMPT, TOKENS, HOW);
        } catch (RuntimeException e) {
            failures.add(e);
            return null;
        }
    }

    /// Runs with the n-th call of a kind failing, and checks everything but what the second request
    /// must give.
    private static Outcome withFailure(String kind, long n, Way way) {
        way.choose();
        List<Integer> right = way.right();
        Emulator.choose("FAIL_" + kind, n);
        Map<String, Long> before = Emulator.held();
        Outcome outcome = attempt();
        String what = kind + " " + n + ", " + way;
        for (RuntimeException e : outcome.failures()) {
            assertThat(e).as(what).isInstanceOf(BrantasException.class);
            assertThat(e.getMessage())
                    .as(what)
                    .matches(NAMES_WHAT_FAILED)
                    .doesNotContain("\n")
                    .doesNotContain("Exception");
        }
        if (LOSING.contains(kind)) {
            assertThat(Emulator.count("live_allocations")).as(what).isZero();
            assertThat(Emulator.count("live_streams")).as(what).isZero();
        } else {
            assertThat(Emulator.held()).as(what + ": left behind").isEqualTo(before);
        }
        if (outcome.first() != null) {
            assertThat(outcome.first()).as(what).isEqualTo(right);
        }
        if (outcome.second() != null) {
            assertThat(outcome.second()).as(what).isEqualTo(right);
        }
        return outcome;
    }

    /// Which of `total` calls fail, one a run: the first, some between, and the last, which are the
    /// engine's.
    private static Collection<Long> sample(long total) {
        Set<Long> which = new TreeSet<>(spread(0, Math.min(total, FIRST), FIRST));
        which.addAll(spread(Math.min(total, FIRST), total, SPREAD));
        which.addAll(spread(Math.max(0, total - LAST), total, LAST));
        return which;
    }

    /// At most `count` numbers behind `from`, even, `to` the last.
    private static List<Long> spread(long from, long to, int count) {
        long some = Math.clamp(to - from, 0, count);
        return LongStream.rangeClosed(1, some)
                .map(i -> from + (to - from) * i / some)
                .boxed()
                .toList();
    }

    /// What the device counts in a run without failures, up to the end of its first request.
    private static long calls(String kind) {
        Emulator.reset();
        Emulator.choose("KERNELS", "skip");
        try (EmulatedEngine engine = EmulatedEngine.open(GOLDEN, true)) {
            engine.generate(PROMPT, TOKENS, HOW);
            long replays = Emulator.count("graph_launches");
            // One graph is recorded: its kernels were launched once more, into the recording.
            long recorded = Emulator.count("graph_kernels") / replays;
            return switch (kind) {
                case "ALLOCATION" -> Emulator.count("allocations");
                case "PINNED" -> Emulator.count("pinned_allocations");
                case "LAUNCH" -> Emulator.count("kernel_launches") + recorded + replays;
                case "KERNEL" ->
                        Emulator.count("kernel_launches") + Emulator.count("graph_kernels");
                case "COPY" ->
                        Emulator.count("host_to_device_copies")
                                + Emulator.count("device_to_host_copies")
                                + Emulator.count("device_to_device_copies");
                case "GRAPH" -> 1;
                default -> throw new IllegalArgumentException(kind);
            };
        }
    }

    /// Failures that the driver reports at once and that leave the device as it was.
    @ParameterizedTest
    @CsvSource({"ALLOCATION, 80", "PINNED, 5", "LAUNCH, 100", "GRAPH, 1"})
    void refusedCalls(String kind, int atLeast) {
        long total = calls(kind);
        assertThat(total).isGreaterThanOrEqualTo(atLeast);
        refuse(kind, sample(total), Way.of("immediate", "skip"));
        refuse(kind, spread(0, total, FEW), Way.of("immediate", "run"));
    }

    private static void refuse(String kind, Collection<Long> which, Way way) {
        int answered = 0;
        int survived = 0;
        for (long n : which) {
            Outcome outcome = withFailure(kind, n, way);
            String what = kind + " " + n + ", " + way;
            if (kind.equals("PINNED") && outcome.failures().isEmpty()) {
                // Blocks that were kept for reuse were given back, and the second try succeeded.
                assertThat(outcome.second()).as(what).isNotNull();
                survived++;
                continue;
            }
            assertThat(outcome.failures()).as(what).hasSize(1);
            if (outcome.opened()) {
                assertThat(outcome.first()).as(what + ": failed request").isNull();
                assertThat(outcome.second()).as(what + ": next request").isNotNull();
                answered++;
            }
        }
        assertThat(survived).isLessThan(which.size());
        say(kind, way, which, answered);
        way.again();
    }

    /// Failures of work that was started before; the device is lost with them. In both ways of
    /// doing a stream's work: at once, and when something waits for it.
    @ParameterizedTest
    @CsvSource({
        "KERNEL, 100, immediate",
        "KERNEL, 100, deferred",
        "COPY, 40, immediate",
        "COPY, 40, deferred"
    })
    void failedWork(String kind, int atLeast, String streams) {
        long total = calls(kind);
        assertThat(total).isGreaterThanOrEqualTo(atLeast);
        Way way = Way.of(streams, "skip");
        Collection<Long> which =
                streams.equals("deferred") ? spread(0, total, SPREAD) : sample(total);
        int told = 0;
        for (long n : which) {
            Outcome outcome = withFailure(kind, n, way);
            String what = kind + " " + n + " of " + total + ", " + way;
            assertThat(outcome.first()).as(what).isNull();
            assertThat(outcome.second()).as(what).isNull();
            assertThat(outcome.failures()).as(what).hasSize(outcome.opened() ? 2 : 1);
            if (outcome.opened()) {
                assertThat(outcome.failures().getLast().getMessage())
                        .as(what)
                        .contains("is unusable since an earlier error");
                told++;
            }
        }
        say(kind, way, which, told);
        way.again();
    }

    /// Things that are made while opening: each of them in turn, until there are no more.
    ///
    /// @param first the first whose failure is one of opening: a context is also made to ask for
    ///   free memory, of which there is none then
    @ParameterizedTest
    @CsvSource({
        "STREAM, 1, 2",
        "EVENT, 1, 4",
        "MODULE, 1, 1",
        "SYMBOL, 1, 30",
        "SHARED, 1, 1",
        "CONTEXT, 2, 1"
    })
    void thingsThatCannotBeMade(String kind, int first, int atLeast) {
        Way way = Way.of("immediate", "skip");
        List<Long> failed = new ArrayList<>();
        int answered = 0;
        long n = first;
        Outcome outcome = withFailure(kind, n, way);
        while (!outcome.failures().isEmpty()) {
            failed.add(n);
            assertThat(outcome.failures()).as(kind + " " + n).hasSize(1);
            if (outcome.opened()) {
                assertThat(outcome.second()).as(kind + " " + n).isNotNull();
                answered++;
            }
            n++;
            outcome = withFailure(kind, n, way);
        }
        say(kind, way, failed, answered);
        assertThat(failed).hasSizeGreaterThanOrEqualTo(atLeast);
    }

    /// A device that is out of memory from some point on, as a real one is.
    @Test
    void tooLittleMemory() {
        Way way = Way.of("immediate", "skip");
        long most = Emulator.count("most_bytes");
        for (int tenths = 0; tenths < 10; tenths++) {
            way.choose();
            Emulator.choose("MEMORY", 1 + most * tenths / 10);
            Map<String, Long> before = Emulator.held();
            Outcome outcome = attempt();
            assertThat(outcome.opened()).isFalse();
            assertThat(outcome.failures()).singleElement().isInstanceOf(BrantasException.class);
            assertThat(outcome.failures().getFirst().getMessage()).contains("needs", "are free");
            assertThat(Emulator.held()).isEqualTo(before);
        }
        way.choose();
        Emulator.choose("MEMORY", most);
        assertThat(attempt().second()).isEqualTo(way.right());
    }

    private static void say(String kind, Way way, Collection<Long> which, int answered) {
        System.getLogger("brantas.conformance")
                .log(
                        System.Logger.Level.INFO,
                        "{0}, {1}: {2} runs up to the failure of number {3}, {4} of an open engine",
                        kind,
                        way,
                        which.size(),
                        Collections.max(which),
                        answered);
    }
}
