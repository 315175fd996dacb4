package brantas.jinja;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import brantas.settings.BrantasException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Hostile templates end in one sentence, soon and without much memory.
class TemplateLimitsTest {
    private static final Duration SOON = Duration.ofSeconds(10);

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{{ 2 ** (10 ** 9) }}",
                "{{ (2 ** 60000) * (2 ** 60000) }}",
                "{{ 2 ** 60000 }}",
                "{{ (10 ** 400) | float }}",
                "{{ 'a' * 10 ** 9 }}",
                "{{ 'a' * 10 ** 30 }}",
                "{{ [0] * 10 ** 9 }}",
                "{{ range(10 ** 12) | list }}",
                "{{ range(-(10 ** 18), 10 ** 18) }}",
                "{{ '%1000000000d' % 1 }}",
                "{{ '%.1000000000f' % 1.5 }}",
                "{{ '{:1000000000}'.format(1) }}",
                "{{ 'a'.ljust(10 ** 9) }}",
                "{{ 'a'.zfill(10 ** 9) }}",
                "{{ 'a' | center(10 ** 9) }}",
                "{{ 'a' | indent(10 ** 9) }}",
                "{{ [1] | tojson(indent=10 ** 9) }}",
                "{{ [1] | batch(10 ** 9, 0) | list }}",
                "{{ [1] | slice(10 ** 9) | list }}",
                "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
                "{% for a in range(100000) %}{{ 'abcdefgh' * 1000 }}{% endfor %}",
                "{% set n = namespace(v='ab') %}{% for i in range(99) %}{% set n.v = n.v ~ n.v %}"
                        + "{% endfor %}",
                "{% set n = namespace(v='ab') %}{% for i in range(99) %}"
                        + "{% set n.v = n.v | replace('a', n.v) %}{% endfor %}",
                "{% set n = namespace(v=[1]) %}{% for i in range(99) %}{% set n.v = n.v + n.v %}"
                        + "{% endfor %}",
                "{% set n = namespace(v=[1]) %}{% for i in range(99) %}{% set n.v = [n.v, n.v] %}"
                        + "{% endfor %}{{ n.v }}",
                "{% set n = namespace(v=[1]) %}{% for i in range(99) %}{% set n.v = [n.v, n.v] %}"
                        + "{% endfor %}{{ n.v | tojson }}",
                "{% set n = namespace(v=[1], w=[1]) %}{% for i in range(99) %}"
                        + "{% set n.v = [n.v, n.v] %}{% set n.w = [n.w, n.w] %}{% endfor %}"
                        + "{{ n.v == n.w }}",
                "{% set n = namespace(v=[1]) %}{% for i in range(99999) %}{% set n.v = [n.v] %}"
                        + "{% endfor %}{{ n.v }}",
                "{% set n = namespace() %}{% set n.n = n %}{{ n }}",
                "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
                "{% macro f() %}{{ [[[[[[[[[f()]]]]]]]]] }}{% endmacro %}{{ f() }}",
                "{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}",
                "{% macro f() %}{{ caller() }}{% endmacro %}"
                        + "{% macro g() %}{% call f() %}{{ g() }}{% endcall %}{% endmacro %}{{ g() }}",
                "{% set a = ('a' * 2000000) ~ 'b' %}{% set b = 'a' * 1000000 ~ 'c' %}"
                        + "{% for i in range(1000) %}{{ b in a }}{% endfor %}",
                "{{ ('9' * 100000) | int + 'x' }}",
                "{{ (2 ** 15000) | string }}",
                "{{ raise_exception(['a' * 1000000] * 1000000) }}",
            })
    void endsSoon(String source) {
        Assertions.assertTimeout(
                SOON,
                () ->
                        assertThatThrownBy(() -> Template.parse("hostile", source).render(Map.of()))
                                .isInstanceOf(BrantasException.class)
                                .hasMessageStartingWith("The template 'hostile' ")
                                .hasMessageEndingWith("."));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "(",
                "[",
                "{'a':",
                "-",
                "not ",
                "a[",
                "a(",
                "a|default(",
                "'a' ~ (",
                "((((",
                "- - "
            })
    void nestingIsRefusedAtLoadTime(String opening) {
        assertThatThrownBy(() -> Template.parse("deep", "{{ " + opening.repeat(10_000) + "1 }}"))
                .isInstanceOf(BrantasException.class)
                .hasMessageContaining("cannot be read at line 1");
    }

    @ParameterizedTest
    @ValueSource(strings = {"{% if 1 %}", "{% for a in b %}", "{% set x %}", "{% macro f() %}"})
    void blocksNestedTooDeeplyAreRefused(String opening) {
        assertThatThrownBy(() -> Template.parse("deep", opening.repeat(10_000)))
                .isInstanceOf(BrantasException.class)
                .hasMessageContaining("nested more than 100");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                " + 1",
                ".real",
                " | abs",
                " ~ 'x'",
                " and 1",
                "[0]",
                " if 1",
                " is eq 1",
                " in [1]"
            })
    void longChainsNeverOverflow(String link) {
        Template template = Template.parse("long", "{{ 1" + link.repeat(100_000) + " }}");
        try {
            assertThat(template.render(Map.of())).isNotEmpty();
        } catch (BrantasException e) {
            assertThat(e).hasMessageContaining("nested");
        }
    }

    @Test
    void fitsASmallStack() throws InterruptedException {
        String nest = "[".repeat(40) + "f(n - 1) if n else 0" + "]".repeat(40);
        Template template =
                Template.parse(
                        "stack", "{% macro f(n) %}{{ " + nest + " }}{% endmacro %}{{ f(63) }}");
        List<Throwable> seen = new ArrayList<>();
        Thread thread =
                new Thread(
                        null,
                        () -> {
                            try {
                                template.render(Map.of());
                            } catch (BrantasException e) {
                                seen.add(e);
                            }
                        },
                        "small stack",
                        512 << 10);
        thread.start();
        thread.join();
        assertThat(seen).hasSize(1);
        assertThat(seen.getFirst()).hasMessageContaining("nested more than");
    }

    @Test
    void sourceHasALimit() {
        assertThatThrownBy(() -> Template.parse("huge", "x".repeat((1 << 20) + 1)))
                .isInstanceOf(BrantasException.class)
                .hasMessageContaining("1048577 characters");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{% ",
                "{{ ",
                "{# ",
                "{% raw %}",
                "{",
                "{%raw%}{%",
                "{{ '",
                "{% if x %}\n",
                "  \n"
            })
    void readingIsLinear(String piece) {
        String source = piece.repeat((1 << 20) / piece.length());
        Assertions.assertTimeout(
                SOON,
                () -> {
                    try {
                        Template.parse("long", source).render(Map.of());
                    } catch (BrantasException e) {
                        assertThat(e).hasMessageContaining("'long'");
                    }
                });
    }

    @Test
    void deepContextIsRefused() {
        Object nested = List.of();
        for (int i = 0; i < 10_000; i++) {
            nested = List.of(nested);
        }
        Map<String, Object> context = Map.of("x", nested);
        assertThatThrownBy(() -> Template.parse("t", "{{ 1 }}").render(context))
                .isInstanceOf(BrantasException.class)
                .hasMessageContaining("nested");
    }

    @Test
    void foreignObjectsAreRefused() {
        Map<String, Object> context = Map.of("x", new AtomicLong());
        assertThatThrownBy(() -> Template.parse("t", "{{ x }}").render(context))
                .isInstanceOf(BrantasException.class)
                .hasMessageContaining("AtomicLong");
    }

    @Test
    void javaStaysOutOfReach() {
        Map<String, Object> context = Map.of("s", "text", "m", Map.of("k", 1), "l", List.of(1));
        for (String name :
                List.of("class", "getClass", "hashCode", "length", "__class__", "notify")) {
            String source = "{{ s." + name + " }}{{ m." + name + " }}{{ l['" + name + "'] }}";
            assertThat(Template.parse("t", source).render(context)).as(name).isEmpty();
        }
    }

    @Test
    void longConversationsFitTheBudget() {
        Map<String, Object> message = Map.of("role", "user", "content", "word ".repeat(200_000));
        Map<String, Object> context =
                Map.of("messages", List.of(message, message, message, message));
        String source =
                "{% for m in messages %}{% set c = m.content | trim %}{{ '<' + m.role + '>' + c }}"
                        + "{% endfor %}";
        assertThat(Template.parse("t", source).render(context)).hasSize(4 * (6 + 999_999));
    }
}
