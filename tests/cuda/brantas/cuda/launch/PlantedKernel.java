package brantas.cuda.launch;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/// A kernel that no compiler made: a name, a count of registers and the words of its instructions.
/// [#cubin] puts some into a file as ptxas would, with nothing in it that the checker does not
/// read, and [#log] says what ptxas would have said.
///
/// @param spills bytes
record PlantedKernel(String name, int registers, int spills, List<long[]> code) {
    /// Product of tensor cores.
    static final long[] HMMA = {0x23c, 0};

    /// Load of sixteen bytes from local memory.
    static final long[] LDL = {0x983, 6 << 9};

    /// Load of sixteen bytes from global memory, and one of four.
    static final long[] LDG_128 = {0x981, 6 << 9};

    static final long[] LDG_32 = {0x981, 4 << 9};

    static final long[] NOP = {0x918, 0};

    private static final int SECTION_HEADER = 64;

    private record Section(int name, int type, byte[] bytes) {}

    /// The cubin's bytes.
    static byte[] cubin(List<PlantedKernel> kernels) {
        List<Section> sections = new ArrayList<>();
        ByteArrayOutputStream names = new ByteArrayOutputStream();
        ByteArrayOutputStream strings = new ByteArrayOutputStream();
        names.write(0);
        strings.write(0);
        sections.add(new Section(0, 0, new byte[0]));
        byte[] table = new byte[24 * (kernels.size() + 1)];
        byte[] attributes = new byte[12 * kernels.size()];
        ByteBuffer symbols = little(table);
        ByteBuffer info = little(attributes);
        symbols.position(24);
        for (PlantedKernel kernel : kernels) {
            symbols.putInt(append(strings, kernel.name)).position(symbols.position() + 20);
            info.put((byte) 4).put((byte) 0x2f).putShort((short) 8);
            info.putInt(symbols.position() / 24 - 1).putInt(kernel.registers);
            byte[] instructions = new byte[16 * kernel.code.size()];
            ByteBuffer text = little(instructions);
            kernel.code.forEach(words -> text.putLong(words[0]).putLong(words[1]));
            sections.add(new Section(append(names, ".text." + kernel.name), 1, instructions));
        }
        sections.add(new Section(append(names, ".strtab"), 3, strings.toByteArray()));
        sections.add(new Section(append(names, ".symtab"), 2, table));
        sections.add(new Section(append(names, ".nv.info"), 1, attributes));
        int own = append(names, ".shstrtab");
        sections.add(new Section(own, 3, names.toByteArray()));
        return file(sections);
    }

    private static byte[] file(List<Section> sections) {
        int content = sections.stream().mapToInt(s -> s.bytes.length).sum();
        byte[] bytes = new byte[64 + content + SECTION_HEADER * sections.size()];
        ByteBuffer file = little(bytes);
        file.putInt(0, 0x464c457f).put(4, (byte) 2).putShort(18, (short) 190);
        file.putLong(40, 64L + content).putShort(58, (short) SECTION_HEADER);
        file.putShort(60, (short) sections.size()).putShort(62, (short) (sections.size() - 1));
        int at = 64;
        int header = 64 + content;
        for (Section section : sections) {
            file.put(at, section.bytes);
            file.putInt(header, section.name).putInt(header + 4, section.type);
            file.putLong(header + 24, at).putLong(header + 32, section.bytes.length);
            at += section.bytes.length;
            header += SECTION_HEADER;
        }
        return bytes;
    }

    private static ByteBuffer little(byte[] bytes) {
        return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    private static int append(ByteArrayOutputStream strings, String text) {
        int at = strings.size();
        strings.writeBytes(text.getBytes(StandardCharsets.UTF_8));
        strings.write(0);
        return at;
    }

    /// What ptxas says with -v.
    static String log(List<PlantedKernel> kernels) {
        StringBuilder log = new StringBuilder("ptxas info    : 0 bytes gmem\n");
        for (PlantedKernel kernel : kernels) {
            log.append("ptxas info    : Function properties for ").append(kernel.name);
            log.append("\n    ").append(kernel.spills).append(" bytes stack frame, ");
            log.append(kernel.spills).append(" bytes spill stores, ");
            log.append(kernel.spills).append(" bytes spill loads\nptxas info    : Used ");
            log.append(kernel.registers).append(" registers, used 1 barriers, 352 bytes cmem[0]\n");
        }
        return log.toString();
    }
}
