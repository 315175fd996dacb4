package brantas.jinja;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import brantas.settings.BrantasException;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/// Every engine case of the reference: same text, or a failure where the reference fails.
class JinjaCorpusTest {
    /// Extra cases about what the engine leaves out; each must then fail instead of giving a text
    /// that differs.
    private static final Set<String> LEFT_OUT =
            Set.of(
                    "block-277",
                    "filter-text-407",
                    "filter-text-410",
                    "filter-text-411",
                    "filter-text-412",
                    "filter-text-413",
                    "filter-text-426",
                    "method-503",
                    "method-513",
                    "global-534");

    /// Extra cases that ask whether a left-out global exists.
    private static final Set<String> UNKNOWN_GLOBALS = Set.of("global-529", "global-533");

    @TestFactory
    Stream<DynamicTest> corpus() throws IOException {
        List<Map<String, Object>> cases = JsonCases.read("jinja.json");
        assertThat(cases).hasSize(601);
        return cases.stream()
                .map(c -> DynamicTest.dynamicTest((String) c.get("name"), () -> check(c)));
    }

    @SuppressWarnings("unchecked")
    private static void check(Map<String, Object> c) {
        String name = (String) c.get("name");
        String source = (String) c.get("source");
        Map<String, Object> context = (Map<String, Object>) c.get("context");
        boolean fails = Boolean.TRUE.equals(c.get("error")) || LEFT_OUT.contains(name);
        if (LEFT_OUT.contains(name) || UNKNOWN_GLOBALS.contains(name)) {
            assertThat(c.get("tier")).isEqualTo("extra");
        }
        if (fails) {
            assertThatThrownBy(() -> Template.parse(name, source).render(context))
                    .as(source)
                    .isInstanceOf(BrantasException.class);
        } else {
            String text = Template.parse(name, source).render(context);
            if (UNKNOWN_GLOBALS.contains(name)) {
                assertThat(text).as(source).contains("False");
            } else {
                assertThat(text).as(source).isEqualTo(c.get("expected"));
            }
        }
    }
}
