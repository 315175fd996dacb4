package brantas;

import brantas.format.GenerationConfig;
import brantas.format.ModelConfig;
import brantas.settings.BrantasException;
import brantas.token.Detokenizer;
import brantas.token.Tokenizer;
import brantas.vocabulary.TokenizerFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/// The text side of a checkpoint: tokenizer, chat template, end tokens, sampling defaults. Opens
/// without the weights.
public final class ModelText {
    private final Tokenizer tokenizer;
    private final Optional<PromptTemplate> template;
    private final Path folder;
    final GenerationConfig defaults;

    private ModelText(Path folder) {
        this.folder = folder;
        this.tokenizer = new Tokenizer(TokenizerFile.read(folder));
        this.defaults = GenerationConfig.read(folder);
        this.template = PromptTemplate.ofCheckpoint(folder);
    }

    /// Reads `tokenizer.json` and what stands beside it in a checkpoint's folder.
    ///
    /// @throws BrantasException naming the file and what is wrong
    public static ModelText open(Path folder) {
        if (!Files.isDirectory(folder)) {
            throw new BrantasException(
                    folder
                            + " is not a folder: name the folder of a checkpoint, the one with config.json.");
        }
        return new ModelText(folder);
    }

    /// Token ids of a text.
    ///
    /// @param control whether control strings such as `<|im_end|>` in it become control tokens
    public int[] encode(String text, boolean control) {
        return tokenizer.encode(text, control);
    }

    /// The text of ids; what is not UTF-8 becomes U+FFFD.
    ///
    /// @param skipSpecial drops special tokens
    public String decode(int[] ids, boolean skipSpecial) {
        check(ids);
        return tokenizer.decode(ids, skipSpecial);
    }

    /// The text as it becomes printable id by id.
    public StreamedText decodeStreaming(int[] ids, boolean skipSpecial) {
        check(ids);
        Detokenizer detokenizer = tokenizer.detokenizer(skipSpecial);
        List<String> pieces = new ArrayList<>();
        for (int id : ids) {
            pieces.add(detokenizer.next(id));
        }
        return new StreamedText(pieces, detokenizer.flush());
    }

    /// What each id made printable, and what remained at the end.
    public record StreamedText(List<String> pieces, String flush) {}

    /// The checkpoint's chat template.
    ///
    /// @throws BrantasException if it has none
    public PromptTemplate template() {
        return template.orElseThrow(() ->
                new BrantasException(
                        folder
                                + " has no chat template (chat_template.jinja, or chat_template in"
                                + " tokenizer_config.json): add one, or send raw text."));
    }

    private void check(int[] ids) {
        for (int id : ids) {
            if (!tokenizer.has(id)) {
                throw new BrantasException("Token id " + id + " has no token in " + folder + ".");
            }
        }
    }

    Tokenizer tokenizer() {
        return tokenizer;
    }

    /// Ids with a token, as far as the model has rows for them.
    BitSet allowed(int vocabulary) {
        BitSet allowed = new BitSet(vocabulary);
        for (int id = 0; id < vocabulary; id++) {
            allowed.set(id, tokenizer.has(id));
        }
        return allowed;
    }

    /// All ids that end an answer: those of both configurations, and the chat end token (spec 8.4).
    Set<Integer> endIds(ModelConfig config) {
        Set<Integer> ids = new LinkedHashSet<>(defaults.eosIds());
        ids.addAll(config.eosIds());
        for (String end : List.of("<|im_end|>", "<|endoftext|>")) {
            tokenizer.id(end).ifPresent(ids::add);
        }
        return ids;
    }

    /// A request's prompt, as text and as ids.
    Prompt prompt(Request request) {
        if (request.ids != null) {
            return new Prompt("", request.ids);
        }
        if (request.raw != null) {
            return new Prompt(request.raw, encode(request.raw, true));
        }
        Map<String, @Nullable Object> kwargs = new LinkedHashMap<>();
        if (request.mode != Mode.DEFAULT) {
            kwargs.put("enable_thinking", request.mode == Mode.THINKING);
        }
        kwargs.putAll(request.templateArguments);
        if (!request.literal) {
            String text = template().render(request.messages, request.tools, kwargs);
            return new Prompt(text, encode(text, true));
        }
        OutsideText outside = OutsideText.of(tokenizer, request.messages);
        String marked = template().render(outside.messages(), request.tools, kwargs);
        return new Prompt(marked, tokenizer.encodeMarked(marked, outside.mark()));
    }

    /// A rendered prompt.
    ///
    /// @param text empty if the request came as ids
    record Prompt(String text, int[] ids) {}
}
