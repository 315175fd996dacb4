import java.io.IOException;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/// Reads the machine code of a cubin, which is a 64-bit ELF file: each kernel lies in a section
/// `.text.NAME`, and the section `.nv.info` lists attributes, of which the count of registers is
/// wanted here. Everything since sm_70 has instructions of sixteen bytes; two words of eight are
/// kept for each. Nothing of the toolkit is needed to read this, and no disassembler.
final class Cubin {
    private static final int MACHINE_CUDA = 190;
    private static final int SYMBOL_TABLE = 2;
    private static final int SYMBOL_BYTES = 24;
    private static final int FORM_SIZED = 4;
    private static final int REGISTER_COUNT = 0x2f;
    private static final String TEXT = ".text.";

    /// @param low the words with the opcode
    /// @param high the words with widths and modifiers
    record Code(String kernel, int registers, long[] low, long[] high) {}

    private record Section(String name, int type, ByteBuffer bytes) {}

    private final Path file;
    private final ByteBuffer image;
    private final List<Section> sections = new ArrayList<>();

    private Cubin(Path file) throws IOException {
        this.file = file;
        image = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
    }

    /// The kernels of a cubin by name.
    static Map<String, Code> read(Path file) throws IOException {
        if (!Files.exists(file)) {
            throw new Refused("there is no %s: build it with make -C native-build.", file);
        }
        Cubin cubin = new Cubin(file);
        try {
            cubin.sections();
            return cubin.kernels();
        } catch (IndexOutOfBoundsException | BufferUnderflowException e) {
            throw cubin.broken("ends in the middle");
        }
    }

    private Refused broken(String how) {
        return new Refused("%s %s: remove it and run make -C native-build again.", file, how);
    }

    private void sections() {
        boolean elf =
                image.capacity() >= 64
                        && image.getInt(0) == 0x464c457f
                        && image.get(4) == 2
                        && image.getShort(18) == MACHINE_CUDA;
        if (!elf) {
            throw broken("is no 64-bit ELF file for CUDA");
        }
        int headers = Math.toIntExact(image.getLong(40));
        int size = Short.toUnsignedInt(image.getShort(58));
        int count = Short.toUnsignedInt(image.getShort(60));
        int names = headers + size * Short.toUnsignedInt(image.getShort(62));
        int strings = Math.toIntExact(image.getLong(names + 24));
        for (int n = 0; n < count; n++) {
            int header = headers + n * size;
            int from = Math.toIntExact(image.getLong(header + 24));
            int bytes = Math.toIntExact(image.getLong(header + 32));
            int type = image.getInt(header + 4);
            // A section without bits in the file, such as shared memory, may claim any place.
            boolean empty = type == 8;
            ByteBuffer content =
                    image.slice(empty ? 0 : from, empty ? 0 : bytes).order(ByteOrder.LITTLE_ENDIAN);
            String name = string(image, strings + image.getInt(header));
            sections.add(new Section(name, type, content));
        }
    }

    private static String string(ByteBuffer bytes, int from) {
        int end = from;
        while (bytes.get(end) != 0) {
            end++;
        }
        byte[] text = new byte[end - from];
        bytes.get(from, text);
        return new String(text, StandardCharsets.UTF_8);
    }

    private Map<String, Code> kernels() {
        Map<String, Integer> registers = registers();
        Map<String, Code> kernels = new TreeMap<>();
        for (Section section : sections) {
            if (section.name().startsWith(TEXT)) {
                String name = section.name().substring(TEXT.length());
                Integer count = registers.get(name);
                if (count == null) {
                    throw broken("does not say how many registers " + name + " takes");
                }
                int instructions = section.bytes().capacity() / 16;
                long[] low = new long[instructions];
                long[] high = new long[instructions];
                for (int n = 0; n < instructions; n++) {
                    low[n] = section.bytes().getLong(16 * n);
                    high[n] = section.bytes().getLong(16 * n + 8);
                }
                kernels.put(name, new Code(name, count, low, high));
            }
        }
        if (kernels.isEmpty()) {
            throw broken("holds no kernel");
        }
        return kernels;
    }

    /// Attributes are a byte of form, a byte of kind and two bytes, which are the value or, in the
    /// sized form, the number of bytes that follow.
    private Map<String, Integer> registers() {
        List<String> symbols = symbols();
        ByteBuffer info = section(".nv.info").bytes();
        Map<String, Integer> registers = new HashMap<>();
        int at = 0;
        while (at < info.capacity()) {
            int form = info.get(at);
            int kind = Byte.toUnsignedInt(info.get(at + 1));
            int value = Short.toUnsignedInt(info.getShort(at + 2));
            at += 4;
            if (form == FORM_SIZED) {
                if (kind == REGISTER_COUNT) {
                    registers.put(symbols.get(info.getInt(at)), info.getInt(at + 4));
                }
                at += value;
            }
        }
        return registers;
    }

    private List<String> symbols() {
        ByteBuffer strings = section(".strtab").bytes();
        List<String> names = new ArrayList<>();
        for (Section section : sections) {
            if (section.type() == SYMBOL_TABLE) {
                for (int at = 0; at < section.bytes().capacity(); at += SYMBOL_BYTES) {
                    names.add(string(strings, section.bytes().getInt(at)));
                }
            }
        }
        return names;
    }

    private Section section(String name) {
        return sections.stream()
                .filter(s -> s.name().equals(name))
                .findFirst()
                .orElseThrow(() -> broken("has no section " + name));
    }
}
