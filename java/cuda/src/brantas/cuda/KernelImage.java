package brantas.cuda;

import brantas.settings.BrantasException;
import brantas.settings.Machine;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/// Where the compiled kernels are: the file that the setting names, else the one that
/// `scripts/build-native` installed.
public final class KernelImage {
    private static final String INSTALLED = "native-build/out/brantas-kernels.fatbin";

    private KernelImage() {}

    /// The file.
    ///
    /// @throws BrantasException when there is none
    public static Path find() {
        Optional<Path> named = Machine.kernelImage();
        if (named.isPresent()) {
            if (!Files.isRegularFile(named.get())) {
                throw new BrantasException(
                        "BRANTAS_KERNELS names "
                                + named.get()
                                + ", which is no file: name a kernel image, or unset it.");
            }
            return named.get();
        }
        Optional<Path> installed = Machine.home().map(home -> home.resolve(INSTALLED));
        if (installed.isPresent() && Files.isRegularFile(installed.get())) {
            return installed.get();
        }
        throw new BrantasException(
                "There is no image of the CUDA kernels: run scripts/build-native, or set"
                        + " BRANTAS_KERNELS to one.");
    }
}
