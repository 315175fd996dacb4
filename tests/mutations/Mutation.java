import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// A planted bug, from `tests/mutations/NAME.txt`.
///
/// @param test `kernels NAME PART…`, or `maven MODULE CLASS`
record Mutation(String name, String file, String bug, String test, String find, String replace) {
    private static final Pattern FORM =
            Pattern.compile(
                    "bug: (.+)\nfile: (.+)\ntest: (.+)\n--- find\n(.+)\n--- replace\n(.*)\n",
                    Pattern.DOTALL);

    static Mutation read(Path path) throws IOException {
        String name = path.getFileName().toString().replaceFirst("\\.txt$", "");
        Matcher m = FORM.matcher(Files.readString(path));
        if (!m.matches() || (m.group(1) + m.group(2) + m.group(3)).contains("\n")) {
            throw new SuiteError(
                    path + " is not of the form that tests/mutations/README.md describes");
        }
        String test = m.group(3);
        if (!test.matches("kernels \\w+( \\w+)*|maven \\S+ [\\w#]+")) {
            throw new SuiteError(path + ": \"" + test + "\" names no test");
        }
        return new Mutation(name, m.group(2), m.group(1), test, m.group(4), m.group(5));
    }

    String[] words() {
        return test.split(" ");
    }

    /// Mutations of one group run in one copy, one after the other, behind their tests unplanted.
    String group() {
        return words()[0].equals("maven") ? "maven" : words()[0] + " " + words()[1];
    }

    /// The file of the project in this folder with the bug in it.
    String planted(Path project) throws IOException {
        if (!Files.isRegularFile(project.resolve(file))) {
            throw new SuiteError(name + ": there is no " + file);
        }
        String text = Files.readString(project.resolve(file));
        int at = text.indexOf(find);
        if (at < 0 || text.indexOf(find, at + 1) >= 0) {
            throw new SuiteError(
                    String.format(
                            "%s: its text is %s in %s: bring tests/mutations/%s.txt up to date",
                            name, at < 0 ? "not" : "more than once", file, name));
        }
        return text.substring(0, at) + replace + text.substring(at + find.length());
    }
}
