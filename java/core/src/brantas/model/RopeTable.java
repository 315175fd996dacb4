package brantas.model;

import brantas.format.RopeConfig;
import brantas.op.Rope;

/// Rotary frequencies from the configuration: default or YaRN (spec 3 steps 4–6, spec 10), and the
/// axis of each (step 5).
public final class RopeTable {
    private RopeTable() {}

    /// The frequencies in fp32, as the reference computes them.
    public static Rope of(RopeConfig config) {
        int pairs = config.rotaryDim() / 2;
        float[] frequencies = new float[pairs];
        int[] axis = new int[pairs];
        for (int j = 0; j < pairs; j++) {
            // The reference takes the power in fp32 and divides: the rounding of the power matters
            // at long range.
            float power = (float) Math.pow((float) config.theta(), 2f * j / config.rotaryDim());
            frequencies[j] = 1f / power;
            axis[j] = axis(config.section(), j);
        }
        float scale = 1;
        if (config.yarn().isPresent()) {
            RopeConfig.YarnConfig yarn = config.yarn().get();
            stretch(frequencies, config, yarn);
            scale = (float) yarn.attentionFactor();
        }
        return new Rope(frequencies, axis, scale);
    }

    /// H for `j ≡ 1 mod 3` below three times its section, W likewise for 2, T otherwise.
    private static int axis(int[] section, int j) {
        int a = j % 3;
        return a != 0 && j < 3 * section[a] ? a : 0;
    }

    private static void stretch(float[] f, RopeConfig config, RopeConfig.YarnConfig yarn) {
        double low = dimension(yarn.betaFast(), config, yarn);
        double high = dimension(yarn.betaSlow(), config, yarn);
        if (yarn.truncate()) {
            low = Math.floor(low);
            high = Math.ceil(high);
        }
        low = Math.max(low, 0);
        high = Math.min(high, config.rotaryDim() - 1.0);
        if (low == high) {
            high += 0.001;
        }
        for (int j = 0; j < f.length; j++) {
            float ramp = Math.clamp((j - (float) low) / (float) (high - low), 0f, 1f);
            f[j] = f[j] / (float) yarn.factor() * ramp + f[j] * (1 - ramp);
        }
    }

    /// The channel pair that turns `rotations` times over the original context.
    private static double dimension(
            double rotations, RopeConfig config, RopeConfig.YarnConfig yarn) {
        return config.rotaryDim()
                * Math.log(yarn.originalMaxPositions() / (rotations * 2 * Math.PI))
                / (2 * Math.log(config.theta()));
    }
}
