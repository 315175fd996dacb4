package brantas.text;

import static org.assertj.core.api.Assertions.assertThat;

import java.math.BigInteger;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/// Text of tool arguments becomes values by the schema, and stays text where it does not fit.
class ArgumentTypeTest {
    private static final Map<String, Object> ROOT =
            Map.of(
                    "$defs",
                    Map.of(
                            "Count", Map.of("type", "integer"),
                            "a/b", Map.of("$ref", "#/$defs/Count"),
                            "Loop", Map.of("anyOf", List.of(ref("Loop"), ref("Loop"))),
                            "Unit", Map.of("enum", List.of("m", "km"))));

    private static Map<String, Object> ref(String name) {
        return Map.of("$ref", "#/$defs/" + name);
    }

    private static Map<String, Object> type(Object... names) {
        return Map.of("type", names.length == 1 ? names[0] : List.of(names));
    }

    private static @Nullable Object convert(@Nullable Object schema, String text) {
        return ArgumentType.of(schema, ROOT).convert(text);
    }

    private static void keeps(Object schema, String... texts) {
        for (String text : texts) {
            assertThat(convert(schema, text)).as("%s as %s", text, schema).isEqualTo(text);
        }
    }

    @Test
    void stringsStayAsTheyAre() {
        keeps(type("string"), "5", "true", " a \n", "null", "None", "[1]", "\"q\"", "");
    }

    @Test
    void numbersAreExact() {
        assertThat(convert(type("integer"), " 42 ")).isEqualTo(42L);
        assertThat(convert(type("integer"), "+7")).isEqualTo(7L);
        assertThat(convert(type("integer"), "-3.0")).isEqualTo(-3L);
        assertThat(convert(type("integer"), "9223372036854775808"))
                .isEqualTo(new BigInteger("9223372036854775808"));
        keeps(type("integer"), "3.5", "five", "", "1e3", "9".repeat(2000), "0x10");
        assertThat(convert(type("number"), "2.5e3")).isEqualTo(2500.0);
        assertThat(convert(type("number"), "5")).isEqualTo(5L);
        assertThat(convert(type("number"), "5.0")).isEqualTo(5.0);
        keeps(type("number"), "1e999", "NaN", ".5", "007", "[1]", "true");
    }

    @Test
    void booleansInAnyCase() {
        assertThat(convert(type("boolean"), "True")).isEqualTo(true);
        assertThat(convert(type("boolean"), "\nfalse ")).isEqualTo(false);
        keeps(type("boolean"), "yes", "1", "");
    }

    @Test
    void containersInJsonAndPythonSpelling() {
        List<@Nullable Object> mixed = Arrays.asList(1L, null, true);
        assertThat(convert(type("array"), "[1, null, true]")).isEqualTo(mixed);
        assertThat(convert(type("array"), "[1, None, True,]")).isEqualTo(mixed);
        Map<String, Object> member = Map.of("a", List.of("it's"));
        assertThat(convert(type("object"), "{\"a\": [\"it's\"]}")).isEqualTo(member);
        assertThat(convert(type("object"), "{'a': ['it\\'s']}")).isEqualTo(member);
        assertThat(convert(type("object"), "\"{\\\"a\\\": [\\\"it's\\\"]}\"")).isEqualTo(member);
        keeps(type("object"), "{a: 1}", "5", "{\"a\": 1} and", "\"text\"", "[".repeat(100_000));
    }

    @Test
    void nullWhereItMayBe() {
        assertThat(convert(type("string", "null"), "None")).isNull();
        assertThat(convert(type("integer"), "null")).isNull();
        Map<String, Object> nullable = new HashMap<>(type("string"));
        nullable.put("nullable", true);
        assertThat(convert(nullable, "NULL")).isNull();
        assertThat(convert(type("string", "null"), "5")).isEqualTo("5");
    }

    @Test
    void unionsGoByDeclaredOrderAndStringLast() {
        assertThat(convert(type("integer", "string"), "5")).isEqualTo(5L);
        assertThat(convert(type("string", "integer"), "5")).isEqualTo("5");
        Map<String, Object> any =
                Map.of("anyOf", List.of(type("boolean"), type("string"), type("integer")));
        assertThat(convert(any, "5")).isEqualTo(5L);
        assertThat(convert(any, "TRUE")).isEqualTo(true);
        assertThat(convert(any, "five")).isEqualTo("five");
        Map<String, Object> all = Map.of("allOf", List.of(Map.of("title", "n"), ref("Count")));
        assertThat(convert(all, "5")).isEqualTo(5L);
    }

    @Test
    void listedValuesMatchTheirSpelling() {
        assertThat(convert(Map.of("enum", List.of("1", "2")), "1")).isEqualTo("1");
        assertThat(convert(Map.of("enum", List.of(1, 2)), "1")).isEqualTo(1L);
        assertThat(convert(Map.of("enum", Arrays.asList("a", null)), "null")).isNull();
        assertThat(convert(Map.of("const", true), "True")).isEqualTo(true);
        assertThat(convert(ref("Unit"), " km ")).isEqualTo("km");
        assertThat(convert(ref("Unit"), "mile")).isEqualTo("mile");
    }

    @Test
    void referencesAreFollowedAndLoopsEnd() {
        assertThat(convert(ref("Count"), "5")).isEqualTo(5L);
        assertThat(convert(ref("a~1b"), "5")).isEqualTo(5L);
        assertThat(convert(ref("Loop"), "5")).isEqualTo(5L);
        assertThat(convert(ref("Nowhere"), "text")).isEqualTo("text");
    }

    @Test
    void withoutASchemaJsonThatIsNoString() {
        for (Object schema : Arrays.asList(null, Map.of(), "odd", Map.of("type", 5))) {
            assertThat(convert(schema, "5")).isEqualTo(5L);
            assertThat(convert(schema, "null")).isNull();
            assertThat(convert(schema, "{}")).isEqualTo(new LinkedHashMap<>());
            assertThat(convert(schema, "\"q\"")).isEqualTo("\"q\"");
            assertThat(convert(schema, "None")).isEqualTo("None");
            assertThat(convert(schema, "print(1)")).isEqualTo("print(1)");
        }
        assertThat(convert(Map.of("properties", Map.of()), "{}")).isEqualTo(Map.of());
        assertThat(convert(Map.of("items", Map.of()), "[]")).isEqualTo(List.of());
    }

    @Test
    void toolsOfOddShapeCountAsAbsent() {
        Map<String, @Nullable Object> odd = new HashMap<>();
        odd.put("function", null);
        odd.put("name", "flat");
        odd.put("parameters", Map.of("properties", Map.of("n", type("integer"))));
        List<@Nullable Object> tools =
                Arrays.asList(null, 5, Map.of(), Map.of("function", Map.of("name", 7)), odd);
        ToolTypes types = ToolTypes.of(tools);
        assertThat(types.knows("flat")).isTrue();
        assertThat(types.of("flat").convert("n", "5")).isEqualTo(5L);
        assertThat(types.of("flat").convert("m", "5")).isEqualTo("5");
        assertThat(types.of("flat").accepts("m")).isFalse();
        assertThat(types.of("absent").convert("m", "5")).isEqualTo(5L);
        assertThat(types.of("absent").accepts("m")).isTrue();
    }

    @Test
    void furtherPropertiesFollowTheirSchema() {
        Map<String, Object> parameters =
                Map.of(
                        "properties", Map.of("s", type("string")),
                        "additionalProperties", type("number"));
        ToolTypes types =
                ToolTypes.of(
                        List.of(Map.of("function", Map.of("name", "f", "parameters", parameters))));
        assertThat(types.of("f").accepts("m")).isTrue();
        assertThat(types.of("f").convert("m", "5")).isEqualTo(5L);
        assertThat(types.of("f").convert("s", "5")).isEqualTo("5");
    }
}
