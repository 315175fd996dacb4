package brantas.op;

/// Rotary frequencies: channel `j` of a rotated head pairs with `j + frequencies.length`, and turns
/// by `position[axis[j]] × frequencies[j]`, an fp32 product (spec 3 steps 3–6; YaRN is already in
/// the numbers, spec 10).
///
/// @param frequencies radians per position, one per channel pair
/// @param axis which of the three positions (t, h, w) drives each pair
/// @param scale factor of cosine and sine; 1 without YaRN
public record Rope(float[] frequencies, int[] axis, float scale) {}
