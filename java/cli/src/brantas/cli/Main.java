package brantas.cli;

/// The command line.
public final class Main {
    private Main() {}

    static void main() {}
}
