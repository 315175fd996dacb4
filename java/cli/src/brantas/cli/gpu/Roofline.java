package brantas.cli.gpu;

import java.util.List;
import java.util.Locale;

/// A roofline picture as SVG: a point for each kernel at its operations per byte and its speed,
/// under the roof of the device's bandwidth and the rate of its tensor cores; both axes are
/// logarithmic.
///
/// @param title above the picture
/// @param bandwidth bytes per second, 0 where it is not known
/// @param flops operations per second, 0 where that is not known
/// @param points what was measured
public record Roofline(String title, double bandwidth, double flops, List<Point> points) {
    private static final int WIDTH = 1_100;
    private static final int HEIGHT = 700;
    private static final int LEFT = 80;
    private static final int RIGHT = 320;
    private static final int TOP = 50;
    private static final int BOTTOM = 60;

    /// A kernel.
    ///
    /// @param label in words
    /// @param phase `decode`, `prefill` or `table`
    public record Point(String label, String phase, double flops, double bytes, double seconds) {
        private double intensity() {
            return flops / bytes;
        }

        private double speed() {
            return flops / seconds;
        }
    }

    /// A logarithmic axis in whole powers of ten.
    private record Axis(int low, int high, double from, double to) {
        static Axis over(double least, double most, double from, double to) {
            int low = (int) Math.floor(Math.log10(least));
            int high = (int) Math.ceil(Math.log10(most));
            return new Axis(low, Math.max(high, low + 1), from, to);
        }

        double at(double value) {
            return from + (Math.log10(value) - low) / (high - low) * (to - from);
        }
    }

    /// The picture; kernels that compute nothing to speak of are left out.
    public String svg() {
        List<Point> shown = points.stream().filter(p -> p.flops > 0 && p.bytes > 0).toList();
        double ridge = bandwidth > 0 && flops > 0 ? flops / bandwidth : 1;
        Axis x =
                Axis.over(
                        Math.min(ridge, least(shown, true)),
                        Math.max(ridge * 2, most(shown, true)),
                        LEFT,
                        WIDTH - RIGHT);
        Axis y =
                Axis.over(
                        least(shown, false),
                        Math.max(flops, most(shown, false)),
                        HEIGHT - BOTTOM,
                        TOP);
        StringBuilder svg = new StringBuilder();
        add(
                svg,
                String.format(
                        Locale.ROOT,
                        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\""
                                + " font-family=\"sans-serif\" font-size=\"12\">",
                        WIDTH,
                        HEIGHT));
        add(svg, "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>");
        text(svg, LEFT, 28, "start", title);
        grid(svg, x, y);
        roof(svg, x, y, ridge);
        for (int i = 0; i < shown.size(); i++) {
            point(svg, x, y, shown.get(i), i);
        }
        return svg.append("</svg>\n").toString();
    }

    private static double least(List<Point> all, boolean intensity) {
        return all.stream().mapToDouble(p -> intensity ? p.intensity() : p.speed()).min().orElse(1);
    }

    private static double most(List<Point> all, boolean intensity) {
        return all.stream()
                .mapToDouble(p -> intensity ? p.intensity() : p.speed())
                .max()
                .orElse(10);
    }

    private static void grid(StringBuilder svg, Axis x, Axis y) {
        for (int power = x.low(); power <= x.high(); power++) {
            double at = x.at(Math.pow(10, power));
            line(svg, at, y.from(), at, y.to(), false);
            text(svg, at, y.from() + 18, "middle", number(power));
        }
        for (int power = y.low(); power <= y.high(); power++) {
            double at = y.at(Math.pow(10, power));
            line(svg, x.from(), at, x.to(), at, false);
            text(svg, x.from() - 6, at + 4, "end", number(power - 12));
        }
        text(svg, (x.from() + x.to()) / 2, y.from() + 42, "middle", "operations per byte");
        text(svg, 8, y.to() - 8, "start", "TFLOP/s");
    }

    private static String number(int power) {
        return power >= 0 && power <= 4
                ? String.format(Locale.ROOT, "%.0f", Math.pow(10, power))
                : power < 0 && power >= -3
                        ? String.format(Locale.ROOT, "%." + -power + "f", Math.pow(10, power))
                        : "1e" + power;
    }

    private void roof(StringBuilder svg, Axis x, Axis y, double ridge) {
        if (bandwidth > 0) {
            double begin = Math.max(Math.pow(10, x.low()), Math.pow(10, y.low()) / bandwidth);
            double end = flops > 0 ? ridge : Math.pow(10, x.high());
            line(
                    svg,
                    x.at(begin),
                    y.at(begin * bandwidth),
                    x.at(end),
                    y.at(Math.min(end * bandwidth, Math.pow(10, y.high()))),
                    true);
        }
        if (flops > 0) {
            double height = y.at(flops);
            line(svg, x.at(ridge), height, x.to(), height, true);
        }
    }

    private void point(StringBuilder svg, Axis x, Axis y, Point p, int index) {
        String colour =
                switch (p.phase) {
                    case "decode" -> "#1f77b4";
                    case "prefill" -> "#d62728";
                    default -> "#2ca02c";
                };
        double across = x.at(p.intensity());
        double up = y.at(p.speed());
        add(
                svg,
                String.format(
                        Locale.ROOT,
                        "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"%s\"><title>%s</title></circle>",
                        across,
                        up,
                        colour,
                        escaped(p.label)));
        text(svg, across + 5, up - 4, "start", Integer.toString(index + 1));
        String speed =
                String.format(
                        Locale.ROOT, "%d  %s: %.3g TFLOP/s", index + 1, p.label, p.speed() * 1e-12);
        add(
                svg,
                String.format(
                        Locale.ROOT,
                        "<text x=\"%d\" y=\"%d\" font-size=\"10\" fill=\"%s\">%s</text>",
                        WIDTH - RIGHT + 16,
                        TOP + 13 * index,
                        colour,
                        escaped(speed)));
    }

    /// Thin lines are the grid, thick ones the roof.
    private static void line(
            StringBuilder svg, double x1, double y1, double x2, double y2, boolean thick) {
        add(
                svg,
                String.format(
                        Locale.ROOT,
                        "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" %s/>",
                        x1,
                        y1,
                        x2,
                        y2,
                        thick
                                ? "stroke=\"#444444\" stroke-width=\"2\""
                                : "stroke=\"#dddddd\" stroke-width=\"1\""));
    }

    private static void text(StringBuilder svg, double x, double y, String anchor, String text) {
        add(
                svg,
                String.format(
                        Locale.ROOT,
                        "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>",
                        x,
                        y,
                        anchor,
                        escaped(text)));
    }

    private static String escaped(String text) {
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;");
    }

    private static void add(StringBuilder svg, String element) {
        svg.append(element).append('\n');
    }
}
