package brantas.jinja;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import brantas.settings.BrantasException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/// The door of the engine: what it says when something is wrong, and what it accepts.
class TemplateTest {
    private static String render(String source, Map<String, Object> context) {
        return Template.parse("t", source).render(context);
    }

    static Stream<Arguments> malformed() {
        return Stream.of(
                arguments("a\n{% bogus %}", "line 2: the tag 'bogus' is unknown"),
                arguments("{{ x | nofilter }}", "line 1: there is no filter named 'nofilter'"),
                arguments("\n\n{{ x is notest }}", "line 3: there is no test named 'notest'"),
                arguments("{% include 'a' %}", "would load another template"),
                arguments("{{ a b }}", "'b' instead of the end of the print statement"),
                arguments("{% if x %}\n\n", "the 'if' block that begins here has no 'endif'"),
                arguments("{{ 1 ? 2 }}", "the character '?' has no meaning here"),
                arguments("{{ (1 }}", "the bracket '}' closes nothing"),
                arguments("{{ [1 2] }}", "found '2' instead of ','"),
                arguments("{{ 'abc }}", "a string that begins here has no end"),
                arguments("{% break %}", "'break' stands outside a loop"),
                arguments("\n{# x", "line 2: a comment that begins here has no end"));
    }

    @ParameterizedTest
    @MethodSource("malformed")
    void loadErrorsNameLineAndToken(String source, String message) {
        assertThatThrownBy(() -> Template.parse("mine.jinja", source))
                .isInstanceOf(BrantasException.class)
                .hasMessageStartingWith("The template 'mine.jinja' cannot be read at line ")
                .hasMessageContaining(message);
    }

    @Test
    void renderErrorsNameTheLineOfTheStatement() {
        assertThatThrownBy(() ->
                        render(
                                "{% macro f(x) %}\n{{ x.y.z }}{% endmacro %}\n\n{{ f({}) }}",
                                Map.of()))
                .hasMessageContaining("'t' fails at line 2: ")
                .hasMessageContaining("'y'");
    }

    @Test
    void raisedMessagesStayAsTheyAre() {
        assertThatThrownBy(() -> render("{{ raise_exception('No user query.\n' ~ 1) }}", Map.of()))
                .isInstanceOf(BrantasException.class)
                .hasMessage("No user query.\n1");
    }

    @Test
    void acceptsJavaNumbersAndNull() {
        Map<String, Object> context = new HashMap<>();
        context.put("i", 3);
        context.put("f", 0.5f);
        context.put("n", null);
        assertThat(render("{{ i + 1 }} {{ f }} {{ n is none }}", context)).isEqualTo("4 0.5 True");
    }

    @Test
    void changesNothingOfTheContext() {
        Map<String, Object> context = Map.of("m", List.of(Map.of("a", 1)));
        assertThatThrownBy(() -> render("{{ m.append(1) }}", context))
                .hasMessageContaining("'append' would change a list");
        assertThatThrownBy(() -> render("{{ m[0].update({'a': 2}) }}", context))
                .hasMessageContaining("'update' would change a dict");
        assertThat(context.get("m")).isEqualTo(List.of(Map.of("a", 1)));
    }

    @Test
    void oneTemplateServesManyThreads() throws InterruptedException {
        Template template =
                Template.parse(
                        "t",
                        "{% set n = namespace(s=0) %}{% for i in range(k) %}{% set n.s = n.s + i %}"
                                + "{% endfor %}{{ n.s }}");
        String[] results = new String[8];
        Thread[] threads = new Thread[results.length];
        for (int t = 0; t < threads.length; t++) {
            int id = t;
            threads[t] =
                    Thread.ofVirtual()
                            .start(() -> results[id] = template.render(Map.of("k", 1000 + id)));
        }
        for (int t = 0; t < threads.length; t++) {
            threads[t].join();
            long k = 1000L + t;
            assertThat(results[t]).isEqualTo(Long.toString(k * (k - 1) / 2));
        }
    }
}
