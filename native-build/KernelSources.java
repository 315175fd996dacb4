import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/// What the kernel sources declare: the entry points with their heads (`//! kernel …`), and the
/// structs that host and device share. The subset of C++ that this reads is what the kernels are
/// held to: a struct of one `type name;` a line, without padding of the compiler's. Whatever else
/// it meets is refused with file and line, so that a manifest is never half right.
final class KernelSources {
    /// Structs that the host fills or passes, beside the argument structs.
    static final List<String> STEP_STRUCTS = List.of("Draw", "Rows", "Step");

    private static final int LARGEST_STRUCT = 4096;
    private static final int LARGEST_BLOCK = 1024;
    private static final int SHARED_EVERYWHERE = 99 * 1024;
    private static final String VARIABLE = "variable";
    private static final String FORM =
            "kernel name(Args) block 256 shared 0 grid [rows] dtypes bf16 archs all";

    private static final Pattern HEAD =
            Pattern.compile(
                    "kernel ([a-z]\\w*)\\((\\w+)\\) block (\\d{1,9}|variable)"
                            + " shared (\\d{1,9}|variable)"
                            + " grid \\S.* dtypes \\S.* archs (all|\\d+(?: \\d+)*)");
    private static final Pattern ENTRY_LINE = Pattern.compile("\\s*KERNEL(_OCCUPANCY)?\\b.*");
    private static final Pattern ENTRY =
            Pattern.compile(
                    "\\s*KERNEL(?:_OCCUPANCY)?\\s*"
                        + "\\(\\s*(\\w+)\\s*,\\s*(\\w+)\\s*,\\s*(\\w+)\\s*(?:,\\s*\\w+\\s*)?\\)");
    private static final Pattern STRUCT = Pattern.compile("\\bstruct\\s+(\\w+)\\s*\\{");
    private static final Pattern FIELD = Pattern.compile("(\\w+)\\s+(\\w+)\\s*;");
    private static final Pattern CONSTANT =
            Pattern.compile("\\bconstexpr\\s+(?:i32|u32|int)\\s+(\\w+)\\s*=\\s*(\\d{1,9})\\s*;");
    private static final Pattern INCLUDE = Pattern.compile("\\s*#\\s*include\\s*([<\"][^>\"]*).*");

    /// Type of a field.
    enum Type {
        U64("u64", 8, 8),
        I64("i64", 8, 8),
        I32("i32", 4, 4),
        U32("u32", 4, 4),
        F32("f32", 4, 4),
        ROWS("Rows", 16, 8);

        final String name;
        final int bytes;
        final int alignment;

        Type(String name, int bytes, int alignment) {
            this.name = name;
            this.bytes = bytes;
            this.alignment = alignment;
        }
    }

    /// @param offset in bytes from the start of the struct
    record Field(String name, Type type, int offset) {}

    /// @param scope the namespace of its file with `::`, empty for headers
    /// @param where file and line
    record Struct(String name, String scope, String where, List<Field> fields, int bytes) {}

    /// @param block threads, or `variable`
    /// @param shared bytes, or `variable`
    record Kernel(String name, String args, String block, String shared, String where) {}

    /// A head without its `//!`.
    private record Head(String where, String text) {}

    /// A file: its lines as they are, and its text with comments blanked out, line for line.
    ///
    /// @param path as messages show it
    /// @param name relative to the folder of the sources
    record Source(String path, String name, List<String> lines, String code) {
        boolean header() {
            return name.endsWith(".cuh");
        }

        /// The namespace that the translation unit puts this file into, with `::`.
        String scope() {
            return header()
                    ? ""
                    : "kernel_" + name.replaceFirst("\\.cu$", "").replaceAll("\\W", "_") + "::";
        }

        private String at(int line) {
            return path + ":" + (line + 1);
        }

        private int lineOf(int offset) {
            return (int) code.substring(0, offset).chars().filter(c -> c == '\n').count();
        }
    }

    /// What cannot be accepted: one sentence that begins with file and line.
    static final class Refused extends RuntimeException {
        private static final long serialVersionUID = 1;

        Refused(String where, String sentence, Object... parts) {
            super(where + ": " + sentence.formatted(parts));
        }
    }

    private final List<Source> files = new ArrayList<>();
    private final Map<String, Struct> structs = new TreeMap<>();
    private final Map<String, Kernel> kernels = new TreeMap<>();

    /// Reads common/*.cuh and *.cu of a folder.
    KernelSources(Path folder) throws IOException {
        read(folder, "common/", ".cuh");
        read(folder, "", ".cu");
        files.forEach(this::structs);
        files.forEach(this::kernels);
        for (String name : STEP_STRUCTS) {
            if (!structs.containsKey(name)) {
                throw new Refused(folder + "/common", "no header declares struct " + name + ".");
            }
        }
    }

    /// Headers first, then kernel files, each sorted by name.
    List<Source> files() {
        return files;
    }

    /// By name.
    Map<String, Struct> structs() {
        return structs;
    }

    /// By name.
    Map<String, Kernel> kernels() {
        return kernels;
    }

    private void read(Path root, String folder, String ending) throws IOException {
        try (Stream<Path> all = Files.list(root.resolve(folder))) {
            for (Path file : all.filter(f -> f.toString().endsWith(ending)).sorted().toList()) {
                String text = Files.readString(file);
                List<String> lines = text.lines().toList();
                String name = folder + file.getFileName();
                files.add(new Source(file.toString(), name, lines, withoutComments(text)));
            }
        }
    }

    private static String withoutComments(String text) {
        StringBuilder code = new StringBuilder(text);
        int i = 0;
        while (i < text.length()) {
            int end = i + 1;
            boolean comment = text.startsWith("//", i) || text.startsWith("/*", i);
            if (text.startsWith("//", i)) {
                end = text.indexOf('\n', i);
            } else if (comment) {
                end = text.indexOf("*/", i + 2) < 0 ? -1 : text.indexOf("*/", i + 2) + 2;
            } else if (text.charAt(i) == '"') {
                while (end < text.length() && "\"\n".indexOf(text.charAt(end)) < 0) {
                    end += text.charAt(end) == '\\' ? 2 : 1;
                }
                end++;
            }
            end = end < 0 ? text.length() : Math.min(end, text.length());
            for (; i < end; i++) {
                if (comment && text.charAt(i) != '\n') {
                    code.setCharAt(i, ' ');
                }
            }
        }
        return code.toString();
    }

    private void structs(Source source) {
        Matcher struct = STRUCT.matcher(source.code());
        while (struct.find()) {
            String name = struct.group(1);
            if (name.endsWith("Args") || STEP_STRUCTS.contains(name)) {
                Struct read = layout(source, name, struct.end());
                Struct other = structs.putIfAbsent(name, read);
                if (other != null) {
                    String sentence = "struct %s is declared at %s already.";
                    throw new Refused(read.where(), sentence, name, other.where());
                }
            }
        }
    }

    /// Fields from an offset of the source to the brace, laid out as C++ does, except that padding
    /// is refused.
    private static Struct layout(Source source, String name, int from) {
        int line = source.lineOf(from);
        int to = source.code().indexOf('}', from);
        String body = source.code().substring(from, to < 0 ? source.code().length() : to);
        int bytes = 0;
        int alignment = 1;
        List<Field> fields = new ArrayList<>();
        for (String text : body.split("\n", -1)) {
            String where = source.at(line++);
            if (text.isBlank()) {
                continue;
            }
            Field field = field(where, name, text.strip(), bytes);
            if (bytes % field.type().alignment != 0) {
                String sentence =
                        "the compiler would pad %s before %s: declare `i32 padding;` there.";
                throw new Refused(where, sentence, name, field.name());
            }
            fields.add(field);
            bytes += field.type().bytes;
            alignment = Math.max(alignment, field.type().alignment);
        }
        String end = source.at(line - 1);
        if (bytes % alignment != 0) {
            String sentence = "the compiler would pad the end of %s: declare `i32 padding;` there.";
            throw new Refused(end, sentence, name);
        }
        if (fields.isEmpty() || bytes > LARGEST_STRUCT) {
            String sentence = "struct %s has %d bytes: 1 to %d can be passed.";
            throw new Refused(end, sentence, name, bytes, LARGEST_STRUCT);
        }
        String first = source.at(source.lineOf(from));
        return new Struct(name, source.scope(), first, List.copyOf(fields), bytes);
    }

    private static Field field(String where, String struct, String text, int offset) {
        Matcher field = FIELD.matcher(text);
        if (!field.matches()) {
            String sentence = "\"%s\" is not a field: write `type name;` on a line of its own.";
            throw new Refused(where, sentence, text);
        }
        for (Type type : Type.values()) {
            if (type.name.equals(field.group(1))) {
                return new Field(field.group(2), type, offset);
            }
        }
        String sentence = "field %s of %s is of type %s: use u64, i64, i32, u32, f32 or Rows.";
        throw new Refused(where, sentence, field.group(2), struct, field.group(1));
    }

    /// Entry points of a file. A head may go on in further `//!` lines.
    private void kernels(Source source) {
        String[] code = source.code().split("\n", -1);
        Head head = null;
        for (int line = 0; line < source.lines().size(); line++) {
            String raw = source.lines().get(line).strip();
            if (head == null && raw.startsWith("//! kernel ")) {
                head = new Head(source.at(line), raw.substring(4));
            } else if (head == null && raw.startsWith("//!")) {
                String sentence =
                        "this line belongs to no head: heads begin `//! kernel name(Args)`.";
                throw new Refused(source.at(line), sentence);
            } else if (head != null && raw.startsWith("//! ") && !raw.startsWith("//! kernel ")) {
                head = new Head(head.where(), head.text() + " " + raw.substring(4).strip());
            } else if (ENTRY_LINE.matcher(code[line]).matches()) {
                if (head == null) {
                    String sentence =
                            "the entry point has no head: write `//! kernel ...` directly above.";
                    throw new Refused(source.at(line), sentence);
                }
                kernel(source, head, String.join("\n", List.of(code).subList(line, code.length)));
                head = null;
            } else if (head != null) {
                break;
            } else {
                includes(source, line);
            }
        }
        if (head != null) {
            throw new Refused(head.where(), "the head is not followed directly by KERNEL(...).");
        }
    }

    /// Kernel files lie in a namespace each: a system header that only one of them includes would
    /// end up in there.
    private static void includes(Source source, int line) {
        Matcher include = INCLUDE.matcher(source.lines().get(line));
        if (!source.header() && include.matches()) {
            String name = include.group(1);
            if (!name.startsWith("\"common/")) {
                String sentence =
                        "a kernel file includes \"common/...\" only: include %s in a header there.";
                throw new Refused(source.at(line), sentence, name.substring(1));
            }
        }
    }

    private void kernel(Source source, Head head, String code) {
        if (source.header()) {
            String sentence = "an entry point in a header would exist once for each file with it.";
            throw new Refused(head.where(), sentence);
        }
        Matcher words = HEAD.matcher(head.text());
        if (!words.matches()) {
            String sentence = "\"%s\" is not of the form `%s` (or `variable`).";
            throw new Refused(head.where(), sentence, head.text(), FORM);
        }
        String name = words.group(1);
        String args = words.group(2);
        String shared = words.group(4);
        declared(source, head.where(), name, args, code);
        block(source, head.where(), words.group(3), code);
        boolean everywhere = words.group(5).equals("all");
        if (everywhere
                && !shared.equals(VARIABLE)
                && Integer.parseInt(shared) > SHARED_EVERYWHERE) {
            String sentence =
                    "%s bytes of shared memory are more than the %d of every architecture.";
            throw new Refused(head.where(), sentence, shared, SHARED_EVERYWHERE);
        }
        Kernel kernel = new Kernel(name, args, words.group(3), shared, head.where());
        Kernel other = kernels.putIfAbsent(name, kernel);
        if (other != null) {
            String sentence = "kernel %s is declared at %s already.";
            throw new Refused(head.where(), sentence, name, other.where());
        }
    }

    /// The head against the entry point and the struct.
    private void declared(Source source, String where, String name, String args, String code) {
        Matcher entry = ENTRY.matcher(code);
        if (!entry.lookingAt()) {
            String sentence = "the entry point of %s is not KERNEL(name, Args, threads).";
            throw new Refused(where, sentence, name);
        }
        if (!entry.group(1).equals(name) || !entry.group(2).equals(args)) {
            String sentence = "the head says %s(%s), the entry point %s(%s).";
            throw new Refused(where, sentence, name, args, entry.group(1), entry.group(2));
        }
        Struct struct = structs.get(args);
        if (struct == null || !List.of("", source.scope()).contains(struct.scope())) {
            throw new Refused(where, "neither this file nor a header declares struct %s.", args);
        }
    }

    /// The block of the head against the threads that the entry point is compiled for: a number, or
    /// a constant of the file.
    private static void block(Source source, String where, String block, String code) {
        Matcher entry = ENTRY.matcher(code);
        String threads = entry.lookingAt() ? entry.group(3) : "";
        String number = threads;
        Matcher constant = CONSTANT.matcher(source.code());
        while (constant.find()) {
            number = constant.group(1).equals(threads) ? constant.group(2) : number;
        }
        if (!number.matches("\\d{1,9}")) {
            String sentence = "%s threads: write a number or a `constexpr i32` of this file.";
            throw new Refused(where, sentence, threads);
        }
        if (!block.equals(VARIABLE) && !block.equals(number)) {
            String sentence =
                    "the head says blocks of %s, the entry point is compiled for %s threads.";
            throw new Refused(where, sentence, block, number);
        }
        if (Integer.parseInt(number) < 1 || Integer.parseInt(number) > LARGEST_BLOCK) {
            String sentence = "a block of %s threads is not possible: 1 to %d.";
            throw new Refused(where, sentence, number, LARGEST_BLOCK);
        }
    }
}
