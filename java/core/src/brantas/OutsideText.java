package brantas;

import brantas.settings.BrantasException;
import brantas.token.Tokenizer;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// Messages whose user and tool texts cannot inject control tokens: every control string in them
/// carries a mark, a Unicode noncharacter, that the tokenizer removes again.
///
/// @param messages copies with marked texts
/// @param mark the character that was used
record OutsideText(List<Map<String, @Nullable Object>> messages, char mark) {
    private static final char FIRST_NONCHARACTER = '\uFDD0';
    private static final int NONCHARACTERS = 32;

    static OutsideText of(Tokenizer tokenizer, List<Map<String, @Nullable Object>> messages) {
        String all = messages.toString();
        for (int i = 0; i < NONCHARACTERS; i++) {
            char mark = (char) (FIRST_NONCHARACTER + i);
            if (all.indexOf(mark) < 0) {
                return new OutsideText(marked(tokenizer, messages, mark), mark);
            }
        }
        throw new BrantasException(
                "The messages hold all 32 noncharacters U+FDD0 to U+FDEF: remove one of them.");
    }

    private static List<Map<String, @Nullable Object>> marked(
            Tokenizer tokenizer, List<Map<String, @Nullable Object>> messages, char mark) {
        List<Map<String, @Nullable Object>> out = new ArrayList<>();
        for (Map<String, @Nullable Object> message : messages) {
            Object role = message.get("role");
            Map<String, @Nullable Object> copy = new LinkedHashMap<>(message);
            if ("user".equals(role) || "tool".equals(role)) {
                copy.put("content", marked(tokenizer, message.get("content"), mark));
            }
            out.add(copy);
        }
        return out;
    }

    private static @Nullable Object marked(Tokenizer tokenizer, @Nullable Object value, char mark) {
        return switch (value) {
            case String text -> tokenizer.mark(text, mark);
            case List<?> items -> {
                List<@Nullable Object> copy = new ArrayList<>();
                items.forEach(item -> copy.add(marked(tokenizer, item, mark)));
                yield copy;
            }
            case Map<?, ?> item when item.get("text") instanceof String text -> {
                Map<Object, @Nullable Object> copy = new LinkedHashMap<>(item);
                copy.put("text", tokenizer.mark(text, mark));
                yield copy;
            }
            case null, default -> value;
        };
    }
}
