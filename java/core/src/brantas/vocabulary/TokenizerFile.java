package brantas.vocabulary;

import brantas.settings.BrantasException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/// What a model folder says about its tokenizer: the byte-level byte-pair vocabulary and merges of
/// `tokenizer.json`, and the added tokens of it and of `tokenizer_config.json` (model notes section
/// 8.1). It is data, checked but not run; [brantas.token.Tokenizer] runs it. Truncation, padding
/// and the class name in the files are ignored: they describe calls of another library.
///
/// @param vocabulary the base tokens
/// @param merges for each merge, lowest rank first, three ids: left, right, merged
/// @param added the added tokens by ascending id
/// @param pattern the regular expression whose matches are the pieces of a text
/// @param nfc true if text is brought to normal form C before it is cut into pieces
public record TokenizerFile(
        Vocabulary vocabulary, int[] merges, List<AddedToken> added, String pattern, boolean nfc) {

    /// Reads `tokenizer.json` of a model folder, and `tokenizer_config.json` if there is one.
    ///
    /// @throws BrantasException if a file is missing, damaged, or describes another kind of
    ///   tokenizer
    public static TokenizerFile read(Path folder) {
        TokenizerParser parsed = new TokenizerParser(folder.resolve("tokenizer.json"));
        TokenizerFile file = parsed.read();
        Path config = folder.resolve("tokenizer_config.json");
        if (!Files.exists(config)) {
            return file;
        }
        List<AddedToken> more = new AddedTokenReader(config).readConfig();
        return file.with(more, config);
    }

    /// This tokenizer with the added tokens of its configuration: ids that it lacks are new, and
    /// where both name an id the configuration's flags hold.
    private TokenizerFile with(List<AddedToken> more, Path config) {
        Map<Integer, AddedToken> byId = new TreeMap<>();
        added.forEach(token -> byId.put(token.id(), token));
        for (AddedToken token : more) {
            AddedToken known = byId.put(token.id(), token);
            if (known != null && !known.content().equals(token.content())) {
                throw new BrantasException(
                        config
                                + ": added_tokens_decoder gives id "
                                + token.id()
                                + " the text "
                                + StrictJson.quote(token.content())
                                + ", but tokenizer.json gives it "
                                + StrictJson.quote(known.content())
                                + "; take both files from the same model.");
            }
        }
        List<AddedToken> all = List.copyOf(byId.values());
        AddedTokenReader.check(all, vocabulary, config);
        return new TokenizerFile(vocabulary, merges, all, pattern, nfc);
    }

    /// The tokens of `added` whose flag `normalized` is `normalized`.
    public List<AddedToken> added(boolean normalized) {
        List<AddedToken> chosen = new ArrayList<>();
        for (AddedToken token : added) {
            if (token.normalized() == normalized) {
                chosen.add(token);
            }
        }
        return chosen;
    }
}
