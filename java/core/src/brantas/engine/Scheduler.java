package brantas.engine;

import brantas.cache.PagePool;
import brantas.cache.SequenceCache;
import brantas.cache.SlotPool;
import brantas.settings.BrantasException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;

/// Decides who takes part in the next step: continuous batching with chunked prefill, first come
/// first served. It knows ids and counts, no tensors.
///
/// A prompt is cut at multiples of [#PREFILL_CHUNK] from its start, never by what others need: with
/// the kernels' rule that a row depends on its own sequence only, a request gives the same bits in
/// any company.
final class Scheduler {
    /// Rows of a sequence in one step; a multiple of the delta rule's chunk of 64.
    static final int PREFILL_CHUNK = 512;

    private final PagePool pages;
    private final SlotPool slots;
    private final int maxRows;
    private final int maxSequences;
    private final Deque<Sequence> waiting = new ArrayDeque<>();
    private final List<Sequence> running = new ArrayList<>();
    private final StepPlan plan = new StepPlan();

    Scheduler(PagePool pages, SlotPool slots, int maxRows, int maxSequences) {
        this.pages = pages;
        this.slots = slots;
        this.maxRows = maxRows;
        this.maxSequences = maxSequences;
    }

    /// Refuses what could never run.
    void check(GenerationRequest request) {
        long positions = (long) request.prompt().length + request.maxTokens();
        if (pages.pagesFor(positions) > pages.total()) {
            throw new BrantasException(
                    "The prompt has "
                            + request.prompt().length
                            + " tokens and up to "
                            + request.maxTokens()
                            + " are wanted, but the engine holds "
                            + (long) pages.total() * pages.pageSize()
                            + ": shorten one, or open the model with a larger context.");
        }
    }

    void submit(Sequence sequence) {
        waiting.add(sequence);
    }

    boolean idle() {
        return waiting.isEmpty() && running.isEmpty();
    }

    /// Admits what fits and plans the rows of the next step; drops who was cancelled.
    ///
    /// @param admitted told of each sequence that begins, so that its state slot is zeroed
    StepPlan plan(List<Sequence> admitted) {
        waiting.removeIf(s -> s.generation.cancelled() && drop(s));
        running.removeIf(s -> s.generation.cancelled() && drop(s));
        admit(admitted);
        plan.clear();
        int rows = 0;
        for (int i = 0; i < running.size(); i++) {
            Sequence s = running.get(i);
            if (nextRows(s) == 1) {
                plan.add(s, 1);
                rows++;
            }
        }
        for (int i = 0; i < running.size(); i++) {
            Sequence s = running.get(i);
            int count = nextRows(s);
            if (count > 1 && rows + count <= maxRows) {
                plan.add(s, count);
                rows += count;
            }
        }
        return plan;
    }

    private static int nextRows(Sequence s) {
        return Math.min(s.pending(), PREFILL_CHUNK);
    }

    private void admit(List<Sequence> admitted) {
        Sequence next = waiting.peek();
        while (next != null
                && running.size() < maxSequences
                && SequenceCache.fits(pages, slots, next.positions())) {
            waiting.remove();
            next.admit(SequenceCache.admit(pages, slots, next.positions()));
            running.add(next);
            admitted.add(next);
            next = waiting.peek();
        }
    }

    private static boolean drop(Sequence s) {
        s.release();
        s.generation.outbox().finish(FinishReason.CANCELLED);
        return true;
    }

    /// Books the rows of a step; a sequence whose rows are all computed gets the drawn id.
    ///
    /// @param id the drawn token, or −1 while the prompt is not finished
    void commit(Sequence s, int count, int id) {
        s.advance(count);
        if (id < 0) {
            return;
        }
        if (s.stopsAt(id)) {
            finish(s, FinishReason.STOP);
            return;
        }
        s.append(id);
        s.generation.outbox().put(id);
        if (s.generated() >= s.request.maxTokens()) {
            finish(s, FinishReason.LENGTH);
        }
    }

    private void finish(Sequence s, FinishReason reason) {
        running.remove(s);
        s.release();
        s.generation.outbox().finish(reason);
    }

    /// Ends everything that takes part in the current plan with an error.
    void fail(RuntimeException cause) {
        for (int i = 0; i < plan.size(); i++) {
            Sequence s = plan.sequence(i);
            running.remove(s);
            s.release();
            s.generation.outbox().fail(cause);
        }
    }

    /// Ends everything, running or waiting.
    void cancelAll() {
        waiting.forEach(Scheduler::drop);
        running.forEach(Scheduler::drop);
        waiting.clear();
        running.clear();
    }
}
