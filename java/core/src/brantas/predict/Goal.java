package brantas.predict;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;

/// A line of `goals.txt` with what is predicted for it.
///
/// @param measure what is measured, as in the file
/// @param least whether the value is the least that will do, else the most
/// @param value to be reached
/// @param predicted in the same unit
/// @param what it is about, in words
public record Goal(
        String measure, boolean least, double value, String unit, double predicted, String what) {
    private static final Pattern COLUMNS = Pattern.compile("\\s{2,}");

    /// Whether the prediction is good enough.
    public boolean reached() {
        return least ? predicted >= value : predicted <= value;
    }

    /// The goals that fit what was asked for.
    static List<Goal> of(Plan plan) {
        List<Goal> all = new ArrayList<>();
        for (String line : Figures.resource("goals.txt")) {
            List<String> w = COLUMNS.splitAsStream(line).toList();
            boolean fits =
                    fits(w.get(0), plan.gpu().name()) && fits(w.get(1), plan.request().model());
            if (!fits) {
                continue;
            }
            boolean prefill = prefill(w.get(3));
            int length = prefill ? plan.request().prompt() : plan.request().context();
            boolean whole =
                    prefill ? plan.request().chunk() >= length : plan.request().batch() == 1;
            if (fits(w.get(2), Integer.toString(length)) && whole) {
                double predicted = measured(plan, w.get(3), prefill);
                double value = Double.parseDouble(w.get(4).substring(2));
                all.add(
                        new Goal(
                                w.get(3),
                                w.get(4).startsWith(">="),
                                value,
                                w.get(5),
                                predicted,
                                w.get(6)));
            }
        }
        return all;
    }

    private static boolean fits(String pattern, String value) {
        return pattern.equals("*") || pattern.equals(value);
    }

    private static boolean prefill(String measure) {
        return measure.matches("prefill|.*(delta_scan|attend_chunk|expert_gemm).*");
    }

    private static double measured(Plan plan, String measure, boolean prefill) {
        int colon = measure.indexOf(':');
        String kind = colon < 0 ? measure : measure.substring(0, colon);
        String names = measure.substring(colon + 1);
        List<KernelTime> kernels = prefill ? plan.prefill() : plan.decode();
        return switch (kind) {
            case "decode" -> plan.decodeTokensPerSecond();
            case "prefill" -> plan.prefillTokensPerSecond();
            case "call" -> {
                double micros = 0;
                for (String name : List.of(names.split("\\+", -1))) {
                    KernelTime all = sum(kernels, name);
                    micros += all.seconds() * 1e6 / all.calls();
                }
                yield micros;
            }
            case "fraction" -> sum(kernels, names).floorFraction();
            case "tflops" -> rate(kernels, names) * 1e-12;
            case "peak" -> rate(kernels, names) / plan.gpu().tensorFlops();
            default -> throw new IllegalStateException("goals.txt measures " + measure);
        };
    }

    private static double rate(List<KernelTime> kernels, String name) {
        KernelTime all = sum(kernels, name);
        return all.flops() / all.seconds();
    }

    private static KernelTime sum(List<KernelTime> kernels, String name) {
        return kernels.stream()
                .filter(kernel -> kernel.name().startsWith(name))
                .reduce(KernelTime::and)
                .orElseThrow(() -> new IllegalStateException("goals.txt names " + name));
    }
}
