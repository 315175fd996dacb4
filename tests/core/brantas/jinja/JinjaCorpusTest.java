package brantas.jinja;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import brantas.settings.BrantasException;
import java.io.IOException;
import java.util.List;
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
        List<JsonCases.Engine> cases = JsonCases.engine();
        assertThat(cases).hasSize(601);
        return cases.stream().map(c -> DynamicTest.dynamicTest(c.name(), () -> check(c)));
    }

    private static void check(JsonCases.Engine c) {
        boolean leftOut = LEFT_OUT.contains(c.name());
        if (leftOut || UNKNOWN_GLOBALS.contains(c.name())) {
            assertThat(c.tier()).isEqualTo("extra");
        }
        if (c.error() || leftOut) {
            assertThatThrownBy(() -> Template.parse(c.name(), c.source()).render(c.context()))
                    .as(c.source())
                    .isInstanceOf(BrantasException.class);
            return;
        }
        String text = Template.parse(c.name(), c.source()).render(c.context());
        if (UNKNOWN_GLOBALS.contains(c.name())) {
            assertThat(text).as(c.source()).contains("False");
        } else {
            assertThat(text).as(c.source()).isEqualTo(c.expected());
        }
    }
}
