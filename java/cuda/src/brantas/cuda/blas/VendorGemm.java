package brantas.cuda.blas;

import brantas.cuda.driver.Binding;
import brantas.cuda.driver.Device;
import brantas.cuda.driver.Guest;
import brantas.cuda.driver.Rows;
import brantas.cuda.driver.Stream;
import brantas.cuda.launch.Gemm;
import brantas.cuda.launch.Gemm.Result;
import brantas.cuda.launch.Matrix;
import brantas.settings.BrantasException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.util.List;
import jcuda.cudaDataType;
import jcuda.jcublas.JCublas2;
import jcuda.jcublas.cublasHandle;
import jcuda.jcublas.cublasMath;
import jcuda.jcublas.cublasOperation;
import jcuda.jcublas.cublasStatus;
import jcuda.runtime.cudaStream_t;
import org.jspecify.annotations.Nullable;

/// `y[row] = W · x[row]` for many rows by NVIDIA's library, in place of [Gemm] and with its
/// numerics: bf16 operands, sums in fp32, rounded once. What it lacks is that a row's bits are
/// those of the row alone, since cuBLAS picks its algorithm by the number of rows. Its matrices are
/// column-major: it sees `x` as `[in, rows]`, the weight as `[in, out]` and `dst` as `[out, rows]`.
public final class VendorGemm {
    private static final String LIBRARY = "libcublas.so.12";

    /// What is called, by JCublas2 too: with one of them missing the process would end at a call.
    private static final List<String> FUNCTIONS =
            List.of(
                    "cublasCreate_v2",
                    "cublasDestroy_v2",
                    "cublasSetStream_v2",
                    "cublasSetMathMode",
                    "cublasGetMathMode",
                    "cublasGemmEx");

    /// `CUBLAS_GEMM_DEFAULT`: the library chooses.
    private static final int DEFAULT_ALGORITHM = -1;

    private final Guest guest;
    private final cublasHandle handle = new cublasHandle();
    // Outside the heap: Java arrays would hold the collector for the whole call.
    private final MemorySegment scalars = Arena.ofAuto().allocate(ValueLayout.JAVA_FLOAT, 2);
    private final Address zero = new Address(scalars.address());
    private final Address one = new Address(scalars.address() + Float.BYTES);

    /// What became of the wish for cuBLAS.
    ///
    /// @param gemm null where our own kernel stays
    /// @param text for a description of the backend: in use, or why not; empty if nobody asked
    public record Answer(@Nullable VendorGemm gemm, String text) {
        /// There was no wish.
        public static final Answer NOT_ASKED = new Answer(null, "");

        private static Answer without(String reason) {
            return new Answer(null, "no cuBLAS: " + reason);
        }
    }

    private VendorGemm(Stream stream) {
        guest = new Guest(stream, "cuBLAS");
        scalars.setAtIndex(ValueLayout.JAVA_FLOAT, 1, 1);
    }

    /// Opens cuBLAS if it is there and faster than `ours` on this device.
    ///
    /// @param stream that all products go into
    public static Answer open(Device device, Stream stream, Gemm ours) {
        String missing = missing();
        if (!missing.isEmpty()) {
            return Answer.without(missing);
        }
        try {
            Binding.CUBLAS.load();
        } catch (BrantasException e) {
            return Answer.without(String.valueOf(e.getMessage()));
        }
        VendorGemm gemm = new VendorGemm(stream);
        String refused = gemm.start();
        if (refused.isEmpty()) {
            refused = new Trial(device, stream).reason(ours, gemm);
        }
        if (refused.isEmpty()) {
            return new Answer(gemm, "cuBLAS for prefill");
        }
        gemm.guest.close();
        return Answer.without(refused);
    }

    /// Loads the library, which then serves JCublas2 under its name.
    ///
    /// @return empty, or why it cannot be used
    private static String missing() {
        SymbolLookup symbols;
        try {
            symbols = SymbolLookup.libraryLookup(LIBRARY, Arena.global());
        } catch (IllegalArgumentException e) {
            return LIBRARY
                    + " does not load (install cuBLAS of CUDA 12 and put its folder, where"
                    + " libcublasLt.so.12 lies too, on LD_LIBRARY_PATH)";
        }
        for (String function : FUNCTIONS) {
            if (symbols.find(function).isEmpty()) {
                return LIBRARY + " has no " + function + " (install cuBLAS of CUDA 12)";
            }
        }
        return "";
    }

    /// Creates the library's state, with its working memory on the device.
    ///
    /// @return empty, or what it answers instead
    private String start() {
        guest.enter();
        int code = JCublas2.cublasCreate(handle);
        if (code != 0) {
            return "cublasCreate answers " + name(code);
        }
        guest.own("cublasDestroy", () -> JCublas2.cublasDestroy(handle));
        code = JCublas2.cublasSetStream(handle, new cudaStream_t(guest.stream()));
        if (code != 0) {
            return "cublasSetStream answers " + name(code);
        }
        // Otherwise partial sums may be rounded to bf16 before they are added up.
        int mode = cublasMath.CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION;
        code = JCublas2.cublasSetMathMode(handle, mode);
        return code == 0 ? "" : "cublasSetMathMode answers " + name(code);
    }

    /// `dst[row] = weight · x[row]`, or what `result` says.
    ///
    /// @param dst `[rows, out]`, bf16 or fp32 by `result`
    /// @param x bf16 `[rows, in]`
    /// @param weight bf16 `[out, in]`
    public void launch(Result result, Matrix dst, Matrix x, Matrix weight, Rows rows) {
        if (rows.live() != 0) {
            throw new IllegalArgumentException("cuBLAS needs the number of rows on the host");
        }
        if (result == Result.SWIGLU) {
            throw new IllegalArgumentException("cuBLAS has no product with SwiGLU");
        }
        if (x.cols() != weight.cols() || dst.cols() != weight.rows()) {
            throw new IllegalArgumentException(
                    new Product(result, weight, rows)
                            + " does not fit rows of "
                            + x.cols()
                            + " and of "
                            + dst.cols());
        }
        if (rows.count() == 0) {
            return;
        }
        boolean wide = result == Result.F32;
        long from = rows.from();
        guest.enter();
        int code =
                JCublas2.cublasGemmEx(
                        handle,
                        cublasOperation.CUBLAS_OP_T,
                        cublasOperation.CUBLAS_OP_N,
                        weight.rows(),
                        rows.count(),
                        depth(x, weight),
                        one,
                        new Address(weight.address()),
                        cudaDataType.CUDA_R_16BF,
                        weight.stride(),
                        new Address(x.address() + 2 * from * x.stride()),
                        cudaDataType.CUDA_R_16BF,
                        x.stride(),
                        result == Result.ADD ? one : zero,
                        new Address(dst.address() + (wide ? 4 : 2) * from * dst.stride()),
                        wide ? cudaDataType.CUDA_R_32F : cudaDataType.CUDA_R_16BF,
                        dst.stride(),
                        // A data type where cuBLAS has a compute type: the binding's form, which
                        // cublasGemmEx turns into CUBLAS_COMPUTE_32F.
                        cudaDataType.CUDA_R_32F,
                        DEFAULT_ALGORITHM);
        guest.called(
                "cublasGemmEx", code == 0 ? "" : name(code), new Product(result, weight, rows));
    }

    /// Columns in whole 16-byte pieces where both matrices have them, for the tensor cores; what is
    /// beyond their last column is zero.
    private static int depth(Matrix x, Matrix weight) {
        return Math.min(Math.ceilDiv(weight.cols(), 8) * 8, Math.min(x.stride(), weight.stride()));
    }

    /// For messages.
    private record Product(Result result, Matrix weight, Rows rows) {
        @Override
        public String toString() {
            return "a weight ["
                    + weight.rows()
                    + ", "
                    + weight.cols()
                    + "] times "
                    + rows.count()
                    + " rows ("
                    + result
                    + ")";
        }
    }

    private static String name(int code) {
        return cublasStatus.stringFor(code) + " (" + code + ")";
    }
}
