import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/// A copy of the project's tracked files, with what was built in `target` already.
final class ProjectCopy {
    private static final int MINUTES = 40; // for one build and run

    private static final Pattern FAILED = Pattern.compile("(?m)^FAILED (\\w+) .*\n +(.*)$");
    private static final Pattern CASE =
            Pattern.compile(
                    "<testcase name=\"([^\"]*)\" classname=\"([^\"]*)\"[^>]*>\\s*"
                            + "<(?:failure|error)(?: message=\"([^\"]*)\")?");

    private final Path root;
    private final Path folder;
    private int logs;

    ProjectCopy(Path root, Path folder) throws IOException, InterruptedException {
        this.root = root;
        this.folder = folder;
        Files.createDirectories(folder);
        Run tracked = run(root, List.of("git", "ls-files", "-z"));
        for (String name : tracked.output().split("\0")) {
            copy(name);
        }
        for (String built : List.of("target/kernels/checked", "target/emulator")) {
            if (!Files.isDirectory(root.resolve(built))) {
                continue;
            }
            try (Stream<Path> files = Files.walk(root.resolve(built))) {
                for (Path file : files.filter(Files::isRegularFile).toList()) {
                    copy(root.relativize(file).toString());
                }
            }
        }
    }

    /// With its time, so that make knows what is up to date; the dependencies that the compiler
    /// wrote name the project's folder.
    private void copy(String name) throws IOException {
        Path from = root.resolve(name);
        Path to = folder.resolve(name);
        if (!Files.isRegularFile(from)) {
            return;
        }
        Files.createDirectories(to.getParent());
        try {
            Files.copy(from, to, StandardCopyOption.COPY_ATTRIBUTES);
        } catch (NoSuchFileException e) {
            return; // somebody else's make has moved it meanwhile
        }
        if (name.endsWith(".d")) {
            FileTime time = Files.getLastModifiedTime(from);
            Files.writeString(to, Files.readString(to).replace(root + "/", folder + "/"));
            Files.setLastModifiedTime(to, time);
        }
    }

    Result testWith(Mutation m) throws IOException, InterruptedException {
        Path file = folder.resolve(m.file());
        String text = Files.readString(file);
        FileTime time = Files.getLastModifiedTime(file);
        Files.writeString(file, m.planted(folder));
        try {
            return test(m.test());
        } finally {
            Files.writeString(file, text);
            boolean kernels = m.words()[0].equals("kernels");
            // Its own time keeps other kernel tests as they are; Maven compiles what is new.
            Files.setLastModifiedTime(file, kernels ? time : FileTime.from(Instant.now()));
            if (kernels) {
                Path built = folder.resolve("target/kernels/checked");
                Files.deleteIfExists(built.resolve(m.words()[1] + "_test.o"));
                Files.deleteIfExists(built.resolve(m.words()[1] + "_test"));
            }
        }
    }

    Result test(String test) throws IOException, InterruptedException {
        String[] words = test.split(" ");
        return words[0].equals("maven") ? maven(words[1], words[2]) : kernels(words);
    }

    private Result kernels(String[] words) throws IOException, InterruptedException {
        String cases = String.join(" ", List.of(words).subList(2, words.length));
        List<String> command =
                List.of(
                        "make",
                        "--no-print-directory",
                        "-C",
                        "tests/kernels",
                        "run-" + words[1],
                        "ARGS=" + cases);
        Run run = run(folder, command);
        Matcher m = FAILED.matcher(run.output());
        return run.status() == 0
                ? new Result("", "")
                : m.find() ? new Result(m.group(1), m.group(2)) : brokeOff(run);
    }

    private Result maven(String module, String test) throws IOException, InterruptedException {
        Path reports = folder.resolve(module).resolve("target/surefire-reports");
        if (Files.isDirectory(reports)) {
            delete(reports);
        }
        List<String> command = new ArrayList<>(List.of("mvn", "-o", "-q", "-B", "-pl", module));
        command.addAll(List.of("-am", "-Dtest=" + test, "test"));
        command.add("-Dsurefire.failIfNoSpecifiedTests=false");
        command.add("-Dbrantas.excluded.tests=none");
        Run run = run(folder, command);
        if (run.status() == 0) {
            return new Result("", "");
        }
        if (Files.isDirectory(reports)) {
            try (Stream<Path> files = Files.list(reports)) {
                for (Path file : files.filter(f -> f.toString().endsWith(".xml")).toList()) {
                    Matcher m = CASE.matcher(Files.readString(file));
                    if (m.find()) {
                        String said = m.group(3) == null ? "" : m.group(3);
                        return new Result(
                                test.replaceFirst("#.*", "") + "." + m.group(1),
                                said.replaceAll("(&#10;|\\s)+", " ").strip());
                    }
                }
            }
        }
        return brokeOff(run);
    }

    private static Result brokeOff(Run run) {
        String[] lines = run.output().split("\n");
        String error =
                Stream.of(lines)
                        .filter(line -> line.matches("(?i).*\\berror\\b.*"))
                        .findFirst()
                        .orElse(lines[lines.length - 1]);
        throw new SuiteError("no test case failed, but: " + error.strip());
    }

    /// @param output of both kinds
    private record Run(int status, String output) {}

    private Run run(Path in, List<String> command) throws IOException, InterruptedException {
        Path log = folder.resolveSibling(folder.getFileName() + "-" + logs++ + ".log");
        Process process =
                new ProcessBuilder(command)
                        .directory(in.toFile())
                        .redirectErrorStream(true)
                        .redirectOutput(log.toFile())
                        .start();
        process.getOutputStream().close();
        if (!process.waitFor(MINUTES, TimeUnit.MINUTES)) {
            process.descendants().forEach(ProcessHandle::destroyForcibly);
            process.destroyForcibly();
            throw new SuiteError("it was not done after " + MINUTES + " minutes");
        }
        return new Run(process.exitValue(), Files.readString(log));
    }

    static void delete(Path folder) throws IOException {
        try (Stream<Path> files = Files.walk(folder)) {
            for (Path path : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(path);
            }
        }
    }

    /// How a test ended.
    ///
    /// @param failed the first case that failed, or "" if all passed
    /// @param reason what it said
    record Result(String failed, String reason) {}
}
