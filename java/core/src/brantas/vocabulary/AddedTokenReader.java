package brantas.vocabulary;

import brantas.settings.BrantasException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;

/// Reads added tokens in both spellings: the list in `tokenizer.json`, where the id is a field, and
/// the table in `tokenizer_config.json`, where it is the key. Tokens that would swallow the white
/// space around them, or match whole words only, are refused: no model of the family has them.
final class AddedTokenReader {
    private static final int COUNT_LIMIT = 1 << 16;
    private static final int LENGTH_LIMIT = 256;

    private final Path file;
    private final List<AddedToken> tokens = new ArrayList<>();

    AddedTokenReader(Path file) {
        this.file = file;
    }

    /// The added tokens of a `tokenizer_config.json`, none if it has no `added_tokens_decoder`.
    List<AddedToken> readConfig() {
        StrictJson.read(
                file,
                json ->
                        json.object(key -> {
                            if (key.equals("added_tokens_decoder") && !json.isNull()) {
                                readTable(json);
                            } else {
                                json.skip();
                            }
                        }));
        return tokens;
    }

    /// The added tokens of the array at hand.
    List<AddedToken> readList(StrictJson json) throws IOException {
        json.array(() -> readToken(json, -1));
        return tokens;
    }

    private void readTable(StrictJson json) throws IOException {
        json.wideObject(key -> {
            int id = StrictJson.index(key, Vocabulary.ID_LIMIT);
            if (id < 0) {
                throw json.wrong("the key is not an id from 0 to " + (Vocabulary.ID_LIMIT - 1));
            }
            readToken(json, id);
        });
    }

    private void readToken(StrictJson json, int idOfKey) throws IOException {
        Draft draft = new Draft();
        draft.id = idOfKey;
        json.object(key -> {
            switch (key) {
                case "id" -> draft.id = json.index(Vocabulary.ID_LIMIT);
                case "content" -> draft.content = json.text();
                case "special" -> draft.special = json.flag();
                case "normalized" -> draft.normalized = json.flag();
                case "lstrip", "rstrip", "single_word" -> {
                    if (json.flag()) {
                        throw json.wrong("the flag is true, which is not supported");
                    }
                }
                default -> json.skip();
            }
        });
        if (draft.id < 0) {
            throw json.wrong("the added token has no id");
        }
        if (draft.content.isEmpty() || draft.content.length() > LENGTH_LIMIT) {
            throw json.wrong(
                    "the content has "
                            + draft.content.length()
                            + " characters where 1 to "
                            + LENGTH_LIMIT
                            + " are expected");
        }
        if (tokens.size() >= COUNT_LIMIT) {
            throw json.wrong("there are more than " + COUNT_LIMIT + " added tokens");
        }
        tokens.add(new AddedToken(draft.id, draft.content, draft.special, draft.normalized));
    }

    /// Refuses added tokens that share an id or a text among each other, or take the id or the text
    /// of another base token.
    static void check(List<AddedToken> tokens, Vocabulary vocabulary, Path file) {
        Set<Integer> ids = new HashSet<>();
        Map<String, Integer> contents = new HashMap<>();
        for (AddedToken token : tokens) {
            OptionalInt base = vocabulary.find(token.content());
            boolean taken = base.isPresent() && base.getAsInt() != token.id();
            if (!ids.add(token.id()) || (base.isEmpty() && vocabulary.has(token.id()))) {
                throw clash(file, token, "whose id another token has");
            }
            if (contents.put(token.content(), token.id()) != null || taken) {
                throw clash(file, token, "whose text has another id too");
            }
        }
    }

    private static BrantasException clash(Path file, AddedToken token, String why) {
        return new BrantasException(
                file
                        + ": the added tokens hold "
                        + StrictJson.quote(token.content())
                        + " with id "
                        + token.id()
                        + ", "
                        + why
                        + "; take all files from the same model.");
    }

    /// Collects the fields, which come in any order.
    private static final class Draft {
        private int id;
        private String content = "";
        private boolean special;
        private boolean normalized;
    }
}
