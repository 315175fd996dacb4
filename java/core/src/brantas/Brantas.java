package brantas;

import brantas.engine.Engine;
import brantas.engine.EngineLimits;
import brantas.engine.Generation;
import brantas.engine.GenerationRequest;
import brantas.engine.MemoryPlan;
import brantas.op.Backend;
import brantas.settings.BrantasException;
import brantas.settings.Sampling;
import brantas.text.OutputParser;
import brantas.text.StopMatcher;
import java.nio.file.Path;
import java.util.OptionalDouble;
import java.util.Set;

/// An open model: the front door. It owns the weights and one engine, which any number of threads
/// and sessions share.
///
/// ```java
/// try (Brantas model = Brantas.open(Path.of("model"))) {
///     System.out.println(model.session().ask("Hello").content());
/// }
/// ```
public final class Brantas implements AutoCloseable {
    /// Tokens generated when neither the request nor the context says less.
    private static final int USUAL_TOKENS = 4_096;

    private final ModelText text;
    private final LoadedModel loaded;
    private final MemoryPlan plan;
    private final Engine engine;
    private final Set<Integer> endIds;

    private Brantas(ModelText text, LoadedModel loaded) {
        this.text = text;
        this.loaded = loaded;
        this.plan = loaded.plan();
        this.endIds = text.endIds(loaded.model().config());
        this.engine =
                new Engine(
                        loaded.model(),
                        EngineLimits.of(plan.sequences(), plan.context()),
                        text.allowed(loaded.model().config().vocabSize()));
    }

    /// Opens a checkpoint folder with [Options#DEFAULTS].
    public static Brantas open(Path folder) {
        return open(folder, Options.DEFAULTS);
    }

    /// Opens a checkpoint folder: `config.json`, `*.safetensors`, `tokenizer.json` and what belongs
    /// to them.
    ///
    /// @throws BrantasException naming the file and the key if something is missing, wrong or too
    ///   large
    public static Brantas open(Path folder, Options options) {
        ModelText text = ModelText.open(folder);
        LoadedModel loaded = LoadedModel.open(folder, options, options.context());
        try {
            return new Brantas(text, loaded);
        } catch (RuntimeException e) {
            loaded.close();
            throw e;
        }
    }

    /// Starts a conversation.
    public Session session() {
        return new Session(this);
    }

    /// Starts generating.
    ///
    /// @throws BrantasException if the request is wrong or can never fit
    public TokenStream stream(Request request) {
        boolean templated = request.raw == null && request.ids == null;
        ModelText.Prompt prompt = text.prompt(request);
        int[] ids = prompt.ids();
        if (ids.length == 0) {
            throw new BrantasException("The prompt is empty: give it at least one token.");
        }
        checkIds(ids, loaded.model().config().vocabSize());
        for (String stop : request.stops) {
            if (stop.isEmpty()) {
                throw new BrantasException("A stop string is empty: leave it out.");
            }
        }
        Sampling sampling = sampling(request);
        GenerationRequest job =
                new GenerationRequest(ids, maxTokens(request, ids.length), sampling, endIds);
        Generation generation = engine.submit(job);
        Usage start = new Usage(ids.length, 0, 0, 0, 0, sampling.seed());
        boolean reasoning = prompt.text().stripTrailing().endsWith("<think>");
        return new TokenStream(
                generation,
                text.tokenizer().detokenizer(true),
                templated ? new OutputParser(reasoning, request.tools) : null,
                new StopMatcher(request.stops),
                start);
    }

    /// Generates and waits for the whole answer.
    public Reply generate(Request request) {
        try (TokenStream stream = stream(request)) {
            return stream.reply();
        }
    }

    /// The text side: tokenizer and template.
    public ModelText text() {
        return text;
    }

    /// The backend in use, for people: `simd`, and what it runs on.
    public String backend() {
        return Backends.words(loaded.backend());
    }

    /// The backend that such options would give, for people; opens no model.
    ///
    /// @throws BrantasException if there is none
    public static String backend(Options options) {
        try (Backend backend = Backends.open(options)) {
            return Backends.words(backend);
        }
    }

    /// Positions that all running sequences share.
    public long context() {
        return plan.context();
    }

    /// Refuses ids that the model has no row for.
    static void checkIds(int[] ids, int vocabulary) {
        for (int id : ids) {
            if (id < 0 || id >= vocabulary) {
                throw new BrantasException(
                        "Token id "
                                + id
                                + " is outside the model's vocabulary of "
                                + vocabulary
                                + ": use ids from 0 to "
                                + (vocabulary - 1)
                                + ".");
            }
        }
    }

    private int maxTokens(Request request, int prompt) {
        long room = Math.min(plan.context(), loaded.model().config().maxPositions()) - prompt;
        if (room < 1) {
            throw new BrantasException(
                    "The prompt has "
                            + prompt
                            + " tokens and the context "
                            + Math.min(plan.context(), loaded.model().config().maxPositions())
                            + ": shorten the prompt, or open the model with a larger --context.");
        }
        if (request.maxTokens.isPresent() && request.maxTokens.getAsInt() < 1) {
            throw new BrantasException(
                    "max_tokens is " + request.maxTokens.getAsInt() + ": use at least 1.");
        }
        return (int) Math.min(room, request.maxTokens.orElse(USUAL_TOKENS));
    }

    /// The request's values, then the checkpoint's, then plain sampling.
    private Sampling sampling(Request r) {
        var d = text.defaults;
        boolean greedy = !d.doSample().orElse(true);
        double temperature = r.temperature.orElse(greedy ? 0 : d.temperature().orElse(1.0));
        return new Sampling(
                temperature,
                value(r.topP, d.topP().orElse(1.0)),
                r.topK.orElse(d.topK().orElse(0)),
                value(r.minP, d.minP().orElse(0.0)),
                value(r.presencePenalty, d.presencePenalty().orElse(0.0)),
                value(r.frequencyPenalty, d.frequencyPenalty().orElse(0.0)),
                value(r.repetitionPenalty, d.repetitionPenalty().orElse(1.0)),
                r.seed.orElseGet(System::nanoTime));
    }

    private static double value(OptionalDouble asked, double otherwise) {
        return asked.orElse(otherwise);
    }

    /// Cancels what runs and frees everything.
    @Override
    public void close() {
        engine.close();
        loaded.close();
    }
}
