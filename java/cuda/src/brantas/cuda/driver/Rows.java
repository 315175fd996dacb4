package brantas.cuda.driver;

/// Rows that a kernel works on, as every kernel of the step takes them: [from, to), and not beyond
/// the count at `live` where that is given. `to` is fixed when a launch is recorded; the live count
/// lies in device memory, so that a replayed graph follows the batch. 16 bytes in an argument
/// struct.
///
/// @param live device address of an i32, 0 for none
/// @param from first row
/// @param to one past the last row; the grid is sized by `to − from`
public record Rows(long live, int from, int to) {
    /// Rows must not run backwards.
    public Rows {
        if (from < 0 || to < from) {
            throw new IllegalArgumentException("rows " + from + " to " + to);
        }
    }

    /// Rows known on the host: all of [from, to).
    public static Rows of(int from, int to) {
        return new Rows(0, from, to);
    }

    /// Rows that the launch provides blocks for.
    public int count() {
        return to - from;
    }
}
