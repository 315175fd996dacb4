package brantas.cli;

import brantas.Reply;
import brantas.Request;
import brantas.settings.BrantasException;
import java.util.ArrayDeque;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Function;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;

/// The work of a batch: many lines at once through one engine, results in the order of the input. A
/// line that cannot be answered gets an error object and the batch goes on.
final class BatchRun {
    /// Lines in flight per running sequence: enough that one long answer does not starve the
    /// others.
    private static final int AHEAD = 8;

    private final Function<Request, Reply> answerer;
    private final String model;
    private final int concurrency;
    private final int maxTokens;
    private final Set<String> names = new HashSet<>();
    private int repeats;

    /// @param answerer answers one request; called from many threads
    /// @param model its name in the results
    /// @param concurrency answers at the same time
    /// @param maxTokens most tokens where a line says nothing; 0 leaves it to the model
    BatchRun(Function<Request, Reply> answerer, String model, int concurrency, int maxTokens) {
        this.answerer = answerer;
        this.model = model;
        this.concurrency = concurrency;
        this.maxTokens = maxTokens;
    }

    /// Answers what is left of the input.
    ///
    /// @param done results that exist already
    /// @param progress told the number of results after each
    void run(JsonLines input, int done, BatchOutput output, IntConsumer progress) {
        ArrayDeque<Future<Map<String, @Nullable Object>>> window = new ArrayDeque<>();
        ExecutorService workers =
                Executors.newFixedThreadPool(concurrency, Thread.ofPlatform().daemon().factory());
        try {
            int number = done;
            int written = done;
            byte[] line = BatchOutput.nextFilled(input);
            while (line != null || !window.isEmpty()) {
                if (line != null && window.size() < AHEAD * concurrency) {
                    int mine = ++number;
                    byte[] text = line;
                    window.add(workers.submit(() -> answer(mine, text)));
                    line = BatchOutput.nextFilled(input);
                } else {
                    output.append(window.remove().get());
                    progress.accept(++written);
                }
            }
        } catch (ExecutionException e) {
            throw new IllegalStateException(e.getCause());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new BrantasException("The batch was interrupted: start it again to go on.", e);
        } finally {
            workers.shutdownNow();
        }
    }

    /// Lines whose `custom_id` an earlier line of this run has too.
    int repeats() {
        return repeats;
    }

    /// The result of one line, whatever it is.
    Map<String, @Nullable Object> answer(int number, byte[] line) {
        Map<String, @Nullable Object> result = new LinkedHashMap<>();
        result.put("id", "batch_req_" + number);
        result.put("custom_id", BatchOutput.customId(line));
        try {
            Map<String, @Nullable Object> response = new LinkedHashMap<>();
            response.put("status_code", 200);
            response.put("request_id", "req_" + number);
            Reply reply = answerer.apply(request(JsonLines.parse(line)));
            long now = System.currentTimeMillis() / 1000;
            response.put("body", Completion.of(reply, "chatcmpl-" + number, model, now));
            result.put("response", response);
            result.put("error", null);
        } catch (BrantasException e) {
            failed(result, "invalid_request", String.valueOf(e.getMessage()));
        } catch (RuntimeException | StackOverflowError e) {
            failed(result, "internal_error", e.toString());
        }
        return result;
    }

    private Request request(Map<String, @Nullable Object> item) {
        String id = Json.string("custom_id", item.get("custom_id"));
        synchronized (names) {
            repeats += names.add(id) ? 0 : 1;
        }
        expect("method", item.get("method"), "POST");
        expect("url", item.get("url"), "/v1/chat/completions");
        return ChatBody.request(Json.object("body", item.get("body")), maxTokens);
    }

    private static void expect(String name, @Nullable Object value, String only) {
        if (!only.equals(value)) {
            throw new BrantasException(
                    name + " is " + Json.kind(value) + ": only \"" + only + "\" is supported.");
        }
    }

    private static void failed(Map<String, @Nullable Object> result, String code, String message) {
        Map<String, @Nullable Object> error = new LinkedHashMap<>();
        error.put("code", code);
        error.put("message", message);
        result.put("response", null);
        result.put("error", error);
    }
}
