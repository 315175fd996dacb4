package brantas.cuda.driver;

import brantas.settings.BrantasException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/// A program for [BindingTest]: looks for devices in a process of its own, says what came of it and
/// which copies of JCuda's library the process has loaded.
final class FindDevices {
    private FindDevices() {}

    public static void main(String[] none) throws IOException {
        try {
            System.out.println("found " + Devices.find().list().size());
        } catch (BrantasException e) {
            System.out.println(e.getMessage());
        }
        loaded().forEach(System.out::println);
    }

    /// Files of JCuda that this process has mapped.
    static Iterable<Path> loaded() throws IOException {
        return Files.readAllLines(Path.of("/proc/self/maps")).stream()
                .filter(line -> line.contains("JCuda") && line.contains(".so"))
                .map(line -> Path.of(line.substring(line.indexOf('/'))))
                .distinct()
                .toList();
    }
}
