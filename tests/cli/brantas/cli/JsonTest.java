package brantas.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import brantas.settings.BrantasException;
import java.math.BigInteger;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Values that go through unchanged, and text that is no JSON.
class JsonTest {
    @Test
    void valuesKeepTheirKindAndOrder() {
        String json = "{\"b\":1,\"a\":[1.0,99999999999999999999,true,null,\"\u00e9\"],\"\":{}}";
        Object value = Json.read("it", json);
        assertThat(Json.write(value)).isEqualTo(json);
        List<Object> list = Json.list("a", Door.object(json).get("a"));
        assertThat(list.get(0)).isEqualTo(1.0);
        assertThat(list.get(1)).isEqualTo(new BigInteger("99999999999999999999"));
    }

    @Test
    void loneSurrogatesStayEscapes() {
        String text = "a\ud800b\udc00\ud83d\ude00\udbff";
        assertThat(Json.write(text)).isEqualTo("\"a\\ud800b\\udc00\ud83d\ude00\\udbff\"");
        assertThat(Json.read("it", Json.write(text))).isEqualTo(text);
    }

    @Test
    void numbersThatAreNoneBecomeNull() {
        assertThat(Json.write(List.of(Double.NaN, Double.POSITIVE_INFINITY)))
                .isEqualTo("[null,null]");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                " ",
                "{",
                "[1,]",
                "{\"a\" 1}",
                "nul",
                "1 2",
                "'a'",
                "NaN",
                "\"\u0001\"",
                "01"
            })
    void notJson(String text) {
        assertThatThrownBy(() -> Json.read("The thing", text))
                .isInstanceOf(BrantasException.class)
                .hasMessageStartingWith("The thing ");
    }

    @Test
    void depthIsBounded() {
        assertThatThrownBy(() -> Json.read("It", "[".repeat(1_000_000)))
                .isInstanceOf(BrantasException.class);
    }
}
