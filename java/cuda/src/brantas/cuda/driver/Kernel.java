package brantas.cuda.driver;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.regex.Pattern;

/// An entry point of the kernels as its launcher sees it: name, the fields of the one struct it
/// takes by value, block size and shared memory. Immutable and without a device; [Module] turns it
/// into a [Function]. Its [#signature] is a line of the manifest that the kernel sources yield, so
/// that a test finds any disagreement before a launch does.
public final class Kernel {
    /// Block size or shared memory that each launch states.
    static final int VARIABLE = -1;

    private static final int LARGEST_STRUCT = 4096;
    private static final int LARGEST_BLOCK = 1024;
    private static final Pattern IDENTIFIER = Pattern.compile("[A-Za-z_][A-Za-z0-9_]*");

    /// Type of a field, named as in the kernel sources.
    enum Type {
        U64(8, 8),
        I64(8, 8),
        I32(4, 4),
        U32(4, 4),
        F32(4, 4),
        ROWS(16, 8);

        final int bytes;
        final int alignment;

        Type(int bytes, int alignment) {
            this.bytes = bytes;
            this.alignment = alignment;
        }

        @Override
        public String toString() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /// @param offset in bytes from the start of the struct
    record Field(String name, Type type, int offset) {
        @Override
        public String toString() {
            return name + ":" + type + "@" + offset;
        }
    }

    private final String name;
    private final List<Field> fields;
    private final int bytes;
    private final int block;
    private final int shared;

    private Kernel(Builder builder) {
        this.name = builder.name;
        this.fields = List.copyOf(builder.fields);
        this.bytes = builder.bytes;
        this.block = builder.block;
        this.shared = builder.shared;
    }

    /// Starts the description of entry point `name`; fields follow in the order of the struct.
    public static Builder named(String name) {
        return new Builder(name);
    }

    /// Name of the entry point.
    public String name() {
        return name;
    }

    List<Field> fields() {
        return fields;
    }

    /// Size of the argument struct.
    int bytes() {
        return bytes;
    }

    /// Threads of a block, or [#VARIABLE].
    int block() {
        return block;
    }

    /// Bytes of shared memory, or [#VARIABLE].
    int shared() {
        return shared;
    }

    /// The kernel's line in the manifest.
    public String signature() {
        StringBuilder line = new StringBuilder();
        line.append("kernel ").append(name).append(" args ").append(bytes);
        line.append(" block ").append(words(block));
        line.append(" shared ").append(words(shared)).append(" fields");
        for (Field field : fields) {
            line.append(' ').append(field);
        }
        return line.toString();
    }

    private static String words(int size) {
        return size == VARIABLE ? "variable" : Integer.toString(size);
    }

    @Override
    public String toString() {
        return signature();
    }

    /// Collects the fields of a kernel's struct. A field that the compiler would put behind padding
    /// is refused: padding is declared like any field, so that the struct has no unnamed byte.
    public static final class Builder {
        private final String name;
        private final List<Field> fields = new ArrayList<>();
        private int bytes;
        private int block;
        private int shared;

        private Builder(String name) {
            this.name = identifier(name);
        }

        /// A device address, `u64`.
        public Builder address(String field) {
            return add(field, Type.U64);
        }

        /// `i64`.
        public Builder int64(String field) {
            return add(field, Type.I64);
        }

        /// `i32`.
        public Builder int32(String field) {
            return add(field, Type.I32);
        }

        /// `u32`.
        public Builder uint32(String field) {
            return add(field, Type.U32);
        }

        /// `f32`.
        public Builder float32(String field) {
            return add(field, Type.F32);
        }

        /// [Rows].
        public Builder rows(String field) {
            return add(field, Type.ROWS);
        }

        /// Threads of a block.
        public Builder block(int threads) {
            if (threads < 1 || threads > LARGEST_BLOCK) {
                throw new IllegalArgumentException(name + ": a block of " + threads + " threads");
            }
            block = threads;
            return this;
        }

        /// Each launch states its block size.
        public Builder blockVariable() {
            block = VARIABLE;
            return this;
        }

        /// Bytes of dynamic shared memory; 0 unless stated.
        public Builder shared(int sharedBytes) {
            if (sharedBytes < 0) {
                throw new IllegalArgumentException(name + ": " + sharedBytes + " shared bytes");
            }
            shared = sharedBytes;
            return this;
        }

        /// Each launch states its dynamic shared memory.
        public Builder sharedVariable() {
            shared = VARIABLE;
            return this;
        }

        /// The finished description.
        public Kernel build() {
            if (block == 0) {
                throw new IllegalStateException(name + ": the block size is missing");
            }
            if (fields.isEmpty()) {
                throw new IllegalStateException(name + ": the argument struct is empty");
            }
            int alignment = fields.stream().mapToInt(f -> f.type().alignment).max().orElseThrow();
            if (bytes % alignment != 0) {
                throw new IllegalStateException(
                        name
                                + ": the compiler pads the struct behind "
                                + fields.getLast().name()
                                + ", declare int32(\"padding\") there");
            }
            if (bytes > LARGEST_STRUCT) {
                throw new IllegalStateException(
                        name + ": " + bytes + " bytes of arguments, " + LARGEST_STRUCT + " fit");
            }
            return new Kernel(this);
        }

        private Builder add(String field, Type type) {
            identifier(field);
            if (fields.stream().anyMatch(f -> f.name().equals(field))) {
                throw new IllegalStateException(name + ": field " + field + " appears twice");
            }
            if (bytes % type.alignment != 0) {
                throw new IllegalStateException(
                        name
                                + ": the compiler pads the struct before "
                                + field
                                + ", declare int32(\"padding\") there");
            }
            fields.add(new Field(field, type, bytes));
            bytes += type.bytes;
            return this;
        }

        private static String identifier(String text) {
            if (!IDENTIFIER.matcher(text).matches()) {
                throw new IllegalArgumentException("\"" + text + "\" names nothing in a kernel");
            }
            return text;
        }
    }
}
