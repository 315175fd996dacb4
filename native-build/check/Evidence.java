import java.util.Map;

/// What is known about one kernel on one target without running it.
///
/// @param block threads
/// @param shared bytes of dynamic shared memory
/// @param figures what ptxas reported
/// @param registers as the cubin says
/// @param instructions without the empty ones
/// @param opcodes static counts: a loop that is unrolled counts each copy, one that is not counts
///   once
record Evidence(
        String kernel,
        Target target,
        int block,
        int shared,
        CompilerLog.Figures figures,
        int registers,
        int instructions,
        Map<String, Integer> opcodes) {
    Target.Occupancy occupancy() {
        if (block == Launches.VARIABLE || shared == Launches.VARIABLE) {
            return new Target.Occupancy(0, 0, "unknown: the launch is variable");
        }
        return target.occupancy(registers, block, shared + figures.shared());
    }

    int count(String opcode) {
        return Opcodes.of(opcodes, opcode);
    }

    /// The value that a condition of the budgets asks for.
    int value(String name) {
        return switch (name) {
            case "registers" -> registers;
            case "instructions" -> instructions;
            case "barriers" -> figures.barriers();
            case "blocks" -> occupancy().blocks();
            case "warps" -> occupancy().warps();
            default -> count(name);
        };
    }
}
