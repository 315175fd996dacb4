package brantas.cuda.launch;

import brantas.settings.BrantasException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// How products are launched, as data: which variant of [Gemv], [Gemm] and [ExpertGemm] takes how
/// many rows on which compute capability. The file that Brantas comes with says what its columns
/// mean.
final class LaunchTable {
    private static final String RESOURCE = "dense.txt";
    private static final String ANY = "any";
    private static final int MOST_BLOCKS = 64;
    private static final Pattern LINE =
            Pattern.compile(
                    "(?<family>\\S+)\\s+(?<capability>any|\\d{1,2}\\.\\d)"
                            + "\\s+(?<from>\\d{1,6})-(?<to>\\d{0,6})"
                            + "\\s+(?<variant>\\d{1,3})\\s+(?<blocks>\\d{1,3})");

    /// Kernels that differ in their variant alone.
    enum Family {
        GEMV,
        GEMM,
        EXPERT_GEMM;

        /// The variants that there are, ascending.
        List<Integer> variants() {
            return switch (this) {
                case GEMV -> List.of(8, 16, 32);
                case GEMM -> List.of(64, 128, 256);
                case EXPERT_GEMM -> List.of(ExpertGemm.COLS, ExpertGemm.WIDE_COLS);
            };
        }

        /// The fewest rows that a variant is there for.
        int fewestRows(int variant) {
            boolean wide = this == EXPERT_GEMM && variant == ExpertGemm.WIDE_COLS;
            return wide ? ExpertGemm.MOST_TILE_ROWS : 1;
        }

        String tag() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /// A line of the table.
    ///
    /// @param from fewest rows
    /// @param to most rows
    /// @param variant of the family
    /// @param blocks per multiprocessor: the bound that the family's launcher keeps
    record Choice(int from, int to, int variant, int blocks) {}

    private final Map<Family, Map<String, List<Choice>>> choices = new LinkedHashMap<>();

    private LaunchTable() {}

    /// The table that Brantas comes with.
    static LaunchTable read() {
        try (InputStream in = LaunchTable.class.getResourceAsStream(RESOURCE)) {
            if (in == null) {
                throw new BrantasException(
                        "The launch table " + RESOURCE + " is missing: install Brantas again.");
            }
            return parse(new String(in.readAllBytes(), StandardCharsets.UTF_8));
        } catch (IOException e) {
            throw new BrantasException(
                    "The launch table "
                            + RESOURCE
                            + " cannot be read from its jar: install Brantas again.",
                    e);
        }
    }

    static LaunchTable parse(String text) {
        LaunchTable table = new LaunchTable();
        int number = 0;
        for (String line : text.lines().toList()) {
            number++;
            int comment = line.indexOf('#');
            String entry = (comment < 0 ? line : line.substring(0, comment)).strip();
            if (!entry.isEmpty()) {
                table.add(entry, number);
            }
        }
        for (Family family : Family.values()) {
            table.checkComplete(family);
        }
        return table;
    }

    private void add(String entry, int number) {
        Matcher line = LINE.matcher(entry);
        if (!line.matches()) {
            throw bad(
                    number,
                    "\""
                            + entry
                            + "\" is not of the form \"family capability from-to variant blocks\"");
        }
        Family family = family(line.group("family"), number);
        String to = line.group("to");
        Choice choice =
                new Choice(
                        Integer.parseInt(line.group("from")),
                        to.isEmpty() ? Integer.MAX_VALUE : Integer.parseInt(to),
                        Integer.parseInt(line.group("variant")),
                        Integer.parseInt(line.group("blocks")));
        if (!family.variants().contains(choice.variant())) {
            throw bad(
                    number,
                    family.tag()
                            + " has no variant "
                            + choice.variant()
                            + ", only "
                            + family.variants());
        }
        if (choice.from() < family.fewestRows(choice.variant())) {
            throw bad(
                    number,
                    family.tag()
                            + " has variant "
                            + choice.variant()
                            + " from "
                            + family.fewestRows(choice.variant())
                            + " rows on");
        }
        if (choice.blocks() > MOST_BLOCKS || (family == Family.GEMV && choice.blocks() == 0)) {
            throw bad(number, choice.blocks() + " blocks per multiprocessor are not possible");
        }
        List<Choice> before =
                choices.computeIfAbsent(family, f -> new LinkedHashMap<>())
                        .computeIfAbsent(line.group("capability"), c -> new ArrayList<>());
        int next = before.isEmpty() ? 1 : before.getLast().to() + 1;
        if (choice.from() != next || choice.to() < choice.from()) {
            throw bad(
                    number,
                    "rows "
                            + line.group("from")
                            + "-"
                            + to
                            + (next < 0
                                    ? " follow a line without an end"
                                    : " do not begin at " + next + " and end behind it"));
        }
        before.add(choice);
    }

    private static Family family(String tag, int number) {
        for (Family family : Family.values()) {
            if (family.tag().equals(tag)) {
                return family;
            }
        }
        throw bad(number, "there is no family " + tag + ", only gemv, gemm and expert_gemm");
    }

    private void checkComplete(Family family) {
        Map<String, List<Choice>> all = choices.getOrDefault(family, Map.of());
        if (!all.containsKey(ANY)) {
            throw new BrantasException(
                    "The launch table "
                            + RESOURCE
                            + " has no lines for "
                            + family.tag()
                            + " on any device: add them.");
        }
        all.forEach((capability, list) -> {
            if (list.getLast().to() != Integer.MAX_VALUE) {
                throw new BrantasException(
                        "The launch table "
                                + RESOURCE
                                + " ends at "
                                + list.getLast().to()
                                + " rows for "
                                + family.tag()
                                + " on "
                                + capability
                                + ": leave the last line's end open.");
            }
        });
    }

    private static BrantasException bad(int line, String what) {
        return new BrantasException(
                "The launch table " + RESOURCE + ", line " + line + ": " + what + ".");
    }

    /// The lines for a device, by ascending rows and without a gap.
    ///
    /// @param capability of the device, such as `9.0`
    List<Choice> choices(Family family, String capability) {
        Map<String, List<Choice>> all = choices.getOrDefault(family, Map.of());
        return List.copyOf(all.getOrDefault(capability, all.getOrDefault(ANY, List.of())));
    }

    /// The line for so many rows, of lines without a gap.
    static Choice pick(List<Choice> choices, int rows) {
        for (Choice choice : choices) {
            if (rows <= choice.to()) {
                return choice;
            }
        }
        throw new IllegalArgumentException("no line for " + rows + " rows");
    }
}
