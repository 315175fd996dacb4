package brantas.cli;

import brantas.cli.gpu.SelfTestCommand;
import brantas.settings.BrantasException;
import brantas.settings.Machine;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.InputStream;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;

/// The command line: finds the command, runs it, and turns every failure into one line on standard
/// error and an exit status. Only the command that is asked for is built, because picocli reads
/// annotations by reflection.
///
/// Exit status: 0 done; 2 the caller can mend it (arguments, files, values); 70 a defect of this
/// program.
public final class Main {
    static final int WRONG = 2;
    static final int DEFECT = 70;

    private static final Map<String, Function<Streams, Callable<Integer>>> COMMANDS = commands();

    private Main() {}

    /// The process.
    public static void main(String[] args) {
        PrintStream err = Streams.utf8(new FileOutputStream(Machine.errorDescriptor()));
        System.setErr(err);
        InputStream in = new FileInputStream(FileDescriptor.in);
        PrintStream out = Streams.utf8(new FileOutputStream(FileDescriptor.out));
        int status = run(args, new Streams(in, out, err, Machine.terminals()));
        out.flush();
        err.flush();
        // Daemon or not: nothing that still runs keeps the process.
        Runtime.getRuntime().exit(status);
    }

    /// Runs a command on streams that are no terminals.
    static int run(String[] args, InputStream in, PrintStream out, PrintStream err) {
        return run(args, new Streams(in, out, err, ""));
    }

    static int run(String[] args, Streams io) {
        List<String> rest = new ArrayList<>(List.of(args));
        boolean debug = removeDebug(rest);
        try {
            int status = dispatch(rest, io);
            io.out().flush();
            return status;
        } catch (BrantasException e) {
            return failed(io, WRONG, String.valueOf(e.getMessage()), e, debug);
        } catch (ParameterException e) {
            String name = e.getCommandLine().getCommandName();
            String message = String.valueOf(e.getMessage()).strip();
            String end = message.endsWith(".") || message.endsWith("?") ? " See" : ": see";
            return failed(io, WRONG, message + end + " 'brantas " + name + " --help'.", e, debug);
        } catch (Exception | StackOverflowError e) {
            String hint = debug ? "." : " (add --debug for where it happened).";
            return failed(io, DEFECT, "internal error: " + e + hint, e, debug);
        } catch (OutOfMemoryError e) {
            return failed(io, DEFECT, "the Java heap is full: " + e.getMessage() + ".", e, debug);
        }
    }

    /// Everything a line may not contain becomes a blank.
    static String oneLine(String text) {
        return text.replaceAll("\\s*[\\r\\n\\u000b\\f\\u0085\\u2028\\u2029]+\\s*", " ").strip();
    }

    private static int dispatch(List<String> args, Streams io) throws Exception {
        String name = args.isEmpty() ? "--help" : args.removeFirst();
        if (name.equals("--help") || name.equals("-h") || name.equals("help")) {
            overview(io);
            return 0;
        }
        if (name.equals("--version") || name.equals("-V")) {
            io.line("brantas " + version());
            return 0;
        }
        Function<Streams, Callable<Integer>> maker = COMMANDS.get(name);
        if (maker == null) {
            throw new BrantasException(
                    "There is no command '"
                            + name
                            + "': use one of "
                            + String.join(", ", COMMANDS.keySet())
                            + ".");
        }
        Callable<Integer> command = maker.apply(io);
        CommandLine line = line(name, command);
        CommandLine.ParseResult parsed = line.parseArgs(args.toArray(String[]::new));
        if (parsed.isUsageHelpRequested()) {
            line.usage(new PrintWriter(io.out(), true, StandardCharsets.UTF_8));
            return 0;
        }
        return command.call();
    }

    private static CommandLine line(String name, Callable<Integer> command) {
        CommandLine line = new CommandLine(command);
        line.setCommandName(name);
        line.setExpandAtFiles(false);
        line.setCaseInsensitiveEnumValuesAllowed(true);
        CommandSpec spec = line.getCommandSpec();
        spec.addOption(
                CommandLine.Model.OptionSpec.builder("-h", "--help")
                        .usageHelp(true)
                        .description("Shows this help.")
                        .build());
        spec.addOption(
                CommandLine.Model.OptionSpec.builder("--debug")
                        .description("Shows where a failure happened.")
                        .build());
        spec.usageMessage().width(100).synopsisHeading("Usage: brantas ").sortOptions(false);
        return line;
    }

    private static void overview(Streams io) {
        io.line("Usage: brantas COMMAND [OPTION...]");
        io.line("Runs models of the Qwen3.5 family. Commands:");
        COMMANDS.forEach((name, maker) -> {
            CommandSpec spec = CommandSpec.forAnnotatedObject(maker.apply(io));
            String about = String.join(" ", spec.usageMessage().description());
            io.line(String.format("  %-11s %s", name, about));
        });
        io.line(
                "'brantas COMMAND --help' shows the options of one. --debug shows where a failure happened.");
    }

    private static String version() {
        String version = Main.class.getPackage().getImplementationVersion();
        return version == null ? "(unpackaged)" : version;
    }

    private static boolean removeDebug(List<String> args) {
        int end = args.indexOf("--");
        List<String> options = end < 0 ? args : args.subList(0, end);
        return options.removeIf("--debug"::equals);
    }

    private static int failed(
            Streams io, int status, String message, @Nullable Throwable cause, boolean debug) {
        io.out().flush();
        io.note(message);
        if (debug && cause != null) {
            cause.printStackTrace(io.err());
        }
        io.err().flush();
        return status;
    }

    private static Map<String, Function<Streams, Callable<Integer>>> commands() {
        Map<String, Function<Streams, Callable<Integer>>> all = new LinkedHashMap<>();
        all.put("chat", ChatCommand::new);
        all.put("run", RunCommand::new);
        all.put("batch", BatchCommand::new);
        all.put("inspect", InspectCommand::new);
        all.put("tokenize", io -> new TokensCommand.Tokenize(io));
        all.put("detokenize", io -> new TokensCommand.Detokenize(io));
        all.put("render", RenderCommand::new);
        all.put("logits", LogitsCommand::new);
        all.put("bench", BenchCommand::new);
        all.put("predict", PredictCommand::new);
        all.put("selftest", SelfTestCommand::new);
        all.put("doctor", DoctorCommand::new);
        return all;
    }
}
