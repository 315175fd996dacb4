package brantas.cuda.blas;

import brantas.cuda.CudaProvider;
import brantas.cuda.driver.DeviceException;
import brantas.op.Backend;
import brantas.op.RowSpan;
import brantas.op.Weight;
import brantas.settings.BrantasException;
import brantas.spi.BackendProvider.Choice;
import brantas.tensor.Bf16;
import brantas.tensor.Buffer;
import brantas.tensor.DType;
import brantas.tensor.HostTensor;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.List;
import java.util.Random;
import java.util.zip.CRC32;

/// A program for [VendorGemmTest]: opens the backend as its environment says, multiplies matrices
/// of several shapes in all three ways, and prints a digest of each result, how many products
/// cuBLAS computed, and what a product says that fails. All values are small multiples of 1/8, so
/// that sums in fp32 are exact in every order and digests can be compared between processes.
final class MultiplyRows {
    /// Single rows, all rows, in, out.
    private static final int[][] SHAPES = {
        {0, 1, 8, 8}, {0, 2, 1, 1}, {1, 3, 65, 7}, {0, 65, 200, 33}, {2, 130, 129, 131}
    };

    private final Random random = new Random(7);
    private final Backend backend;

    private MultiplyRows(Backend backend) {
        this.backend = backend;
    }

    public static void main(String[] none) {
        try (Backend backend = new CudaProvider().open(new Choice("0", false, false))) {
            System.out.println("opened " + backend.description());
            MultiplyRows program = new MultiplyRows(backend);
            for (int[] shape : SHAPES) {
                program.products(shape[0], shape[1], shape[2], shape[3]);
            }
            System.out.println("products " + cublas("brantas_cublas_products"));
            program.failure();
            System.out.println("live " + cublas("brantas_cublas_live"));
        } catch (BrantasException e) {
            System.out.println(e.getMessage());
            return;
        }
        System.out.println("closed " + cublas("brantas_cublas_live"));
    }

    private void products(int singles, int rows, int in, int out) {
        Weight weight = weight(in, out);
        Buffer x = filled(backend.buffer("x", rows + 1, in));
        Buffer narrow = filled(backend.buffer("narrow", rows + 1, out));
        Buffer sums = filled(backend.buffer("sums", rows + 1, out));
        Buffer wide = filled(backend.floats("wide", rows + 1, out));
        RowSpan span = new RowSpan(singles, rows);
        backend.linear(narrow, x, weight, span);
        backend.linearAdd(sums, x, weight, span);
        backend.linear(wide, x, weight, span);
        for (Buffer result : List.of(narrow, sums, wide)) {
            System.out.printf(
                    "%d %d %d %d %s %08x%n", singles, rows, in, out, result.name(), digest(result));
        }
    }

    private void failure() {
        if (cublas("brantas_cublas_products") <= 0) {
            return;
        }
        Weight weight = weight(9, 5);
        Buffer x = backend.buffer("x", 4, 9);
        Buffer dst = backend.floats("dst", 4, 5);
        fail(1);
        try {
            backend.linear(dst, x, weight, new RowSpan(1, 4));
            System.out.println("nothing failed");
        } catch (DeviceException e) {
            System.out.println("failed " + e.getMessage());
        }
    }

    private float value() {
        return (random.nextInt(33) - 16) / 8f;
    }

    private Weight weight(int in, int out) {
        MemorySegment data = Arena.ofAuto().allocate(2L * in * out, 64);
        for (long i = 0; i < (long) in * out; i++) {
            data.setAtIndex(ValueLayout.JAVA_SHORT, i, Bf16.of(value()));
        }
        return backend.matrix(
                List.of(new HostTensor("weight", DType.BF16, new long[] {out, in}, data)));
    }

    /// All rows of a buffer, the one beyond the span too: it must stay as it is.
    private Buffer filled(Buffer buffer) {
        MemorySegment values = Arena.ofAuto().allocate(4L * buffer.rows() * buffer.cols(), 64);
        for (long i = 0; i < (long) buffer.rows() * buffer.cols(); i++) {
            values.setAtIndex(ValueLayout.JAVA_FLOAT, i, value());
        }
        backend.upload(buffer, 0, buffer.rows(), values);
        return buffer;
    }

    private long digest(Buffer buffer) {
        MemorySegment to = Arena.ofAuto().allocate(4L * buffer.rows() * buffer.cols(), 64);
        backend.download(to, buffer, 0, buffer.rows());
        CRC32 digest = new CRC32();
        digest.update(to.asByteBuffer());
        return digest.getValue();
    }

    /// A number of the stand-in library's; −1 where it does not load.
    private static long cublas(String function) {
        try (Arena arena = Arena.ofConfined()) {
            return (long) call(function, arena, ValueLayout.JAVA_LONG).invokeExact();
        } catch (IllegalArgumentException e) {
            return -1;
        } catch (Throwable e) {
            throw new AssertionError(e);
        }
    }

    private static void fail(long count) {
        try (Arena arena = Arena.ofConfined()) {
            Linker.nativeLinker()
                    .downcallHandle(
                            SymbolLookup.libraryLookup("libcublas.so.12", arena)
                                    .findOrThrow("brantas_cublas_fail"),
                            FunctionDescriptor.ofVoid(ValueLayout.JAVA_LONG))
                    .invokeExact(count);
        } catch (Throwable e) {
            throw new AssertionError(e);
        }
    }

    private static MethodHandle call(String function, Arena arena, MemoryLayout answer) {
        return Linker.nativeLinker()
                .downcallHandle(
                        SymbolLookup.libraryLookup("libcublas.so.12", arena).findOrThrow(function),
                        FunctionDescriptor.of(answer));
    }
}
