package brantas.jinja;

import brantas.settings.BrantasException;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// A parsed Jinja template in the dialect of chat templates: sandboxed, `trim_blocks` and
/// `lstrip_blocks` on, no auto-escaping, loop controls, `raise_exception`, and `tojson` as Python's
/// `json.dumps` (specification section 8.5). Immutable: any number of threads may render it. It
/// loads no other templates and gives a template no access to Java. A template from an untrusted
/// file costs bounded time and memory: it ends in an error instead.
public final class Template {
    private static final int MAX_SOURCE = 1 << 20;
    private static final int MAX_INTEGER_BITS = 1 << 16;

    private final String name;
    private final List<Node.Stmt> body;

    private Template(String name, List<Node.Stmt> body) {
        this.name = name;
        this.body = body;
    }

    /// Reads a template.
    ///
    /// @param name what messages call it, for example its file name
    /// @param source the text, at most 1,048,576 characters
    /// @throws BrantasException naming template, line and token for anything unknown or malformed
    public static Template parse(String name, String source) {
        if (source.length() > MAX_SOURCE) {
            throw new BrantasException(
                    "The template '"
                            + name
                            + "' has "
                            + source.length()
                            + " characters, more than the "
                            + MAX_SOURCE
                            + " that are allowed; use the model's own template.");
        }
        try {
            return new Template(name, new StatementParser(new Lexer(source).tokens()).template());
        } catch (Fault fault) {
            throw new BrantasException(
                    "The template '"
                            + name
                            + "' cannot be read at line "
                            + fault.line()
                            + ": "
                            + fault.text()
                            + "; correct it or use the model's own template.",
                    fault);
        }
    }

    /// Renders the template.
    ///
    /// @param context the variables. Values may be null, `Boolean`, `Integer`, `Long`,
    ///   `BigInteger`, `Float`, `Double`, `String`, `List` and `Map` with such values; order is
    ///   kept; nothing is changed
    /// @throws BrantasException when the template calls `raise_exception` (its message is then the
    ///   template's own, unchanged), when the context does not fit the template, and when rendering
    ///   would take too long or too much memory
    public String render(Map<String, ? extends @Nullable Object> context) {
        Budget budget = new Budget();
        try {
            Map<String, @Nullable Object> variables = new LinkedHashMap<>();
            context.forEach((key, value) -> variables.put(key, taken(budget, value, 1)));
            return Renderer.render(budget, variables, body);
        } catch (Fault fault) {
            throw fault.raised()
                    ? new BrantasException(fault.text(), fault)
                    : failure(budget, fault.text(), fault);
        } catch (StackOverflowError e) {
            // The caller's own stack was nearly full; the depth limit alone cannot know that.
            throw failure(budget, "it is nested too deeply for this thread's stack", e);
        }
    }

    private BrantasException failure(Budget budget, String what, Throwable cause) {
        return new BrantasException(
                "The template '"
                        + name
                        + "' fails at line "
                        + budget.line()
                        + ": "
                        + what
                        + "; correct the messages, tools or options that it is given.",
                cause);
    }

    /// A copy of a context value in the engine's own types; also sizes the text budget.
    private static @Nullable Object taken(Budget budget, @Nullable Object value, int level) {
        if (level > Budget.MAX_VALUE_DEPTH / 2) {
            throw new Fault(
                    "the context is nested more than "
                            + Budget.MAX_VALUE_DEPTH / 2
                            + " levels deep");
        }
        return switch (value) {
            case null -> null;
            case String text -> {
                budget.allow(text.length());
                yield text;
            }
            case Boolean flag -> flag;
            case Long number -> number;
            case Double number -> number;
            case Integer number -> (Object) number.longValue();
            case Float number -> (Object) number.doubleValue();
            case BigInteger number when number.bitLength() <= MAX_INTEGER_BITS ->
                    Arithmetic.integer(number);
            case List<?> list -> {
                List<@Nullable Object> items = new ArrayList<>(list.size());
                for (Object item : list) {
                    items.add(taken(budget, item, level + 1));
                }
                yield items;
            }
            case Map<?, ?> map -> {
                Map<@Nullable Object, @Nullable Object> entries =
                        LinkedHashMap.newLinkedHashMap(map.size());
                for (Map.Entry<?, ?> entry : map.entrySet()) {
                    entries.put(
                            taken(budget, entry.getKey(), level + 1),
                            taken(budget, entry.getValue(), level + 1));
                }
                yield entries;
            }
            default ->
                    throw new Fault(
                            "the context holds a "
                                    + value.getClass().getSimpleName()
                                    + ", which templates do not know");
        };
    }

    /// Why a template cannot be read or rendered, before the template's name is known to the
    /// speaker. Never leaves the package. It carries no stack trace, since a template's author
    /// cannot use one and hostile templates would make many.
    static final class Fault extends RuntimeException {
        private static final long serialVersionUID = 1L;

        private final int line;
        private final boolean raised;

        private Fault(String message, int line, boolean raised) {
            super(message, null, false, false);
            this.line = line;
            this.raised = raised;
        }

        /// A failure while rendering; the line is that of the statement being run.
        Fault(String message) {
            this(message, 0, false);
        }

        /// A failure while reading the template, at a 1-based line.
        static Fault at(int line, String message) {
            return new Fault(message, line, false);
        }

        /// The template called `raise_exception`; the message is its own and stays as it is.
        static Fault raised(String message) {
            return new Fault(message, 0, true);
        }

        /// 1-based line in the template, 0 where only the renderer knows it.
        int line() {
            return line;
        }

        boolean raised() {
            return raised;
        }

        String text() {
            String message = getMessage();
            return message == null ? "" : message;
        }
    }

    /// What one rendering may still spend: steps, characters produced or searched, and nesting.
    /// Every operation whose cost a template can choose draws from here before it allocates, so a
    /// hostile template ends in a [Fault] and not in a full heap or a busy core. Also remembers the
    /// line being rendered, for messages. Used by one thread, for one rendering.
    static final class Budget {
        /// Characters that `{{ }}` and text may write in all.
        static final int MAX_OUTPUT = 64 << 20;

        /// Nesting of values when they are printed, compared or hashed.
        static final int MAX_VALUE_DEPTH = 200;

        private static final int MAX_STEPS = 5_000_000;
        private static final long BASE_CHARACTERS = 32L << 20;
        private static final int CHARACTERS_PER_INPUT = 64;
        private static final int MAX_DEPTH = 500;
        private static final int MAX_CALLS = 64;

        private int steps = MAX_STEPS;
        private long characters = BASE_CHARACTERS;
        private int depth;
        private int calls;
        private int line = 1;

        /// Text work grows with what the caller passes: `characters` of text in the context.
        void allow(long inputCharacters) {
            characters += CHARACTERS_PER_INPUT * inputCharacters;
        }

        void step() {
            if (--steps < 0) {
                throw new Fault("it runs for more than " + MAX_STEPS + " steps");
            }
        }

        void steps(long count) {
            if (count > steps) {
                throw new Fault("it runs for more than " + MAX_STEPS + " steps");
            }
            steps -= (int) count;
        }

        /// Draws for `count` characters that are about to be produced or read.
        void characters(long count) {
            if (count > characters) {
                throw new Fault("it produces or reads too much text");
            }
            characters -= count;
        }

        /// Draws for a substring search, whose worst case is the product of both lengths.
        void search(int length, int needle) {
            characters(length / 16 + (long) length * needle / 64);
        }

        void enter() {
            if (++depth > MAX_DEPTH) {
                throw new Fault("it is nested more than " + MAX_DEPTH + " levels deep");
            }
        }

        void leave() {
            depth--;
        }

        void enterCall() {
            if (++calls > MAX_CALLS) {
                throw new Fault("its macros call each other more than " + MAX_CALLS + " deep");
            }
        }

        void leaveCall() {
            calls--;
        }

        /// Guards a walk through nested values.
        static void nesting(int level) {
            if (level > MAX_VALUE_DEPTH) {
                throw new Fault("a value is nested more than " + MAX_VALUE_DEPTH + " levels deep");
            }
        }

        int line() {
            return line;
        }

        void line(int current) {
            line = current;
        }
    }
}
