import java.util.Map;
import java.util.TreeMap;

/// Names and counts the instructions of a kernel. The low nine bits of the first word are the
/// opcode, the next three say where operands come from (register, constant, immediate, uniform
/// register), so that 0x223, 0x823 and 0xc23 are all FFMA. The table was found by compiling probes
/// of one instruction each for sm_80 to sm_120, not taken from a manual; what it does not name is
/// counted as an instruction only. Memory instructions carry the width in bits in the second word
/// and in their name here: LDG.128 loads sixteen bytes for each lane.
final class Opcodes {
    private static final int NO_OPERATION = 0x118;
    private static final int LDGSTS = 0x1ae;
    private static final int LDSM = 0x03b;
    private static final int STSM = 0x044;
    private static final int BLACKWELL = 100;
    private static final String[] WIDTHS = {"8", "8", "16", "16", "32", "64", "128", "?"};

    private static final Map<Integer, String> NAMES =
            Map.ofEntries(
                    Map.entry(0x03c, "HMMA"),
                    Map.entry(0x037, "IMMA"),
                    Map.entry(0x07a, "QMMA"),
                    Map.entry(0x03f, "DMMA"),
                    Map.entry(0x1f0, "HGMMA"),
                    Map.entry(0x1f3, "QGMMA"),
                    Map.entry(LDGSTS, "LDGSTS"),
                    Map.entry(0x1ba, "UBLKCP"),
                    Map.entry(LDSM, "LDSM"),
                    Map.entry(STSM, "STSM"),
                    Map.entry(0x03a, "MOVM"),
                    Map.entry(0x180, "LD"),
                    Map.entry(0x185, "ST"),
                    Map.entry(0x181, "LDG"),
                    Map.entry(0x186, "STG"),
                    Map.entry(0x17e, "LDG.256"),
                    Map.entry(0x17f, "STG.256"),
                    Map.entry(0x184, "LDS"),
                    Map.entry(0x188, "STS"),
                    Map.entry(0x183, "LDL"),
                    Map.entry(0x187, "STL"),
                    Map.entry(0x11d, "BAR"),
                    Map.entry(0x189, "SHFL"),
                    Map.entry(0x006, "VOTE"),
                    Map.entry(0x1a1, "MATCH"),
                    Map.entry(0x1c4, "REDUX"),
                    Map.entry(0x0cc, "CREDUX"),
                    Map.entry(0x108, "MUFU"),
                    Map.entry(0x023, "FFMA"),
                    Map.entry(0x049, "FFMA2"),
                    Map.entry(0x021, "FADD"),
                    Map.entry(0x020, "FMUL"),
                    Map.entry(0x02b, "DFMA"),
                    Map.entry(0x029, "DADD"),
                    Map.entry(0x028, "DMUL"),
                    Map.entry(0x03e, "F2FP"),
                    Map.entry(0x18a, "ATOM"),
                    Map.entry(0x1a8, "ATOMG"),
                    Map.entry(0x1a9, "ATOMG"),
                    Map.entry(0x18c, "ATOMS"),
                    Map.entry(0x18d, "ATOMS"),
                    Map.entry(0x18e, "RED"),
                    Map.entry(0x1a6, "RED"),
                    Map.entry(0x192, "MEMBAR"),
                    Map.entry(0x144, "CALL"),
                    Map.entry(0x15c, "BPT"),
                    Map.entry(0x02e, "ACQBULK"),
                    Map.entry(0x02d, "PREEXIT"));

    private Opcodes() {}

    /// Whether a name stands for something that is counted, with or without a width.
    static boolean known(String name) {
        String stem = name.replaceFirst("\\.(8|16|32|64|128|256)$", "");
        return NAMES.containsValue(name) || NAMES.containsValue(stem);
    }

    /// Counts by name.
    static Map<String, Integer> count(Cubin.Code code, int sm) {
        Map<String, Integer> counts = new TreeMap<>();
        for (int n = 0; n < code.low().length; n++) {
            String name = name(code.low()[n], code.high()[n], sm);
            if (name != null) {
                counts.merge(name, 1, Integer::sum);
            }
        }
        return counts;
    }

    /// Instructions without the empty ones that fill sections and gaps.
    static int instructions(Cubin.Code code) {
        int count = 0;
        for (long word : code.low()) {
            count += opcode(word) == NO_OPERATION ? 0 : 1;
        }
        return count;
    }

    /// A count of all widths, or of the one that the name has.
    static int of(Map<String, Integer> counts, String name) {
        int sum = 0;
        for (Map.Entry<String, Integer> entry : counts.entrySet()) {
            boolean matches = entry.getKey().equals(name) || entry.getKey().startsWith(name + ".");
            sum += matches ? entry.getValue() : 0;
        }
        return sum;
    }

    private static int opcode(long low) {
        return (int) low & 0x1ff;
    }

    private static String name(long low, long high, int sm) {
        String name = NAMES.get(opcode(low));
        return switch (opcode(low)) {
            case 0x180, 0x181, 0x183, 0x184, 0x185, 0x186, 0x187, 0x188 ->
                    name + "." + WIDTHS[(int) (high >>> 9) & 7];
            // Blackwell moved and narrowed the field: 0, 1, 2 for four, eight, sixteen bytes.
            case LDGSTS ->
                    name
                            + "."
                            + (sm >= BLACKWELL
                                    ? WIDTHS[4 + ((int) (high >>> 10) & 3)]
                                    : WIDTHS[(int) (high >>> 9) & 7]);
            default -> name;
        };
    }
}
