package brantas.engine;

import brantas.cache.PagePool;
import brantas.cache.SlotPool;
import brantas.model.ModelState;
import brantas.model.Qwen35;
import brantas.model.Workspace;
import brantas.op.StepBatch;
import brantas.settings.BrantasException;
import brantas.spi.Tap;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;

/// Runs sequences through a model on one thread of its own: take the inbox, plan, run, commit.
/// Deals in ids; text lives above. Any thread may submit.
public final class Engine implements AutoCloseable {
    /// Positions of a KV page.
    public static final int PAGE_SIZE = 32;

    private final Qwen35 model;
    private final ModelState state;
    private final Workspace workspace;
    private final Scheduler scheduler;
    private final StepBatch batch;
    private final BatchWriter writer;
    private final Drawing drawing;
    private final Runnable forward;
    private final Runnable forwardAndDraw;
    private final List<Sequence> inbox = new ArrayList<>();
    private final List<Sequence> admitted = new ArrayList<>();
    private final Thread thread;
    private final Object lock = new Object();
    private boolean closed;

    /// Makes the caches and starts the thread.
    ///
    /// @param limits sizes, see [EngineLimits]
    /// @param allowed ids that have a token
    public Engine(Qwen35 model, EngineLimits limits, BitSet allowed) {
        this.model = model;
        PagePool pages = new PagePool(limits.pages(), PAGE_SIZE);
        this.state =
                new ModelState(
                        model.ops(), model.config(), limits.pages(), PAGE_SIZE, limits.sequences());
        this.workspace =
                Workspace.of(
                        model.ops(),
                        model.config(),
                        limits.rows(),
                        limits.sequences(),
                        limits.sequences());
        this.scheduler =
                new Scheduler(
                        pages, new SlotPool(limits.sequences()), limits.rows(), limits.sequences());
        this.batch = new StepBatch(limits.rows(), limits.sequences(), limits.pages());
        this.writer = new BatchWriter(batch, PAGE_SIZE);
        this.drawing = Drawing.of(model, limits, allowed);
        this.forward =
                () -> {
                    model.forward(batch, state, workspace, Tap.NONE);
                    drawing.count(batch);
                };
        this.forwardAndDraw =
                () -> {
                    forward.run();
                    model.logits(batch, workspace);
                    drawing.record(batch, workspace.logits());
                };
        this.thread = Thread.ofPlatform().daemon().name("brantas-engine").start(this::loop);
    }

    /// Queues a request.
    ///
    /// @throws brantas.settings.BrantasException if it can never fit
    public Generation submit(GenerationRequest request) {
        scheduler.check(request);
        Generation generation = new Generation();
        Sequence sequence = new Sequence(request, generation, drawing.countedVocabulary());
        synchronized (lock) {
            if (closed) {
                throw new IllegalStateException("the engine is closed");
            }
            inbox.add(sequence);
            lock.notifyAll();
        }
        return generation;
    }

    private void loop() {
        while (takeInbox()) {
            try {
                step();
            } catch (RuntimeException | Error e) {
                scheduler.fail(
                        e instanceof BrantasException said
                                ? said
                                : new IllegalStateException(
                                        "A step of the engine failed: " + e, e));
            }
        }
        scheduler.cancelAll();
    }

    /// Moves new requests to the scheduler; waits while there is nothing to do. False when the
    /// engine closes.
    private boolean takeInbox() {
        synchronized (lock) {
            while (!closed && inbox.isEmpty() && scheduler.idle()) {
                try {
                    lock.wait();
                } catch (InterruptedException e) {
                    return false;
                }
            }
            // By index here and in each step: an iterator a step would be garbage.
            for (int i = 0; i < inbox.size(); i++) {
                scheduler.submit(inbox.get(i));
            }
            inbox.clear();
            return !closed;
        }
    }

    private void step() {
        admitted.clear();
        StepPlan plan = scheduler.plan(admitted);
        for (int i = 0; i < admitted.size(); i++) {
            int slot = admitted.get(i).cache().slot();
            state.clear(slot);
            drawing.clear(slot);
        }
        if (plan.size() == 0) {
            return;
        }
        writer.write(plan);
        model.ops().step(batch, batch.outputs() > 0 ? forwardAndDraw : forward);
        drawing.finish(batch.outputs());
        int output = 0;
        for (int i = 0; i < plan.size(); i++) {
            Sequence s = plan.sequence(i);
            boolean draws = plan.count(i) == s.pending();
            int id = draws ? drawing.take(workspace.logits(), output++, s) : -1;
            scheduler.commit(s, plan.count(i), id);
        }
    }

    /// Cancels what runs and ends the thread. The model stays open.
    @Override
    public void close() {
        synchronized (lock) {
            closed = true;
            lock.notifyAll();
        }
        boolean interrupted = false;
        while (thread.isAlive()) {
            try {
                thread.join();
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        for (Sequence s : inbox) {
            s.generation.outbox().finish(FinishReason.CANCELLED);
        }
        drawing.close();
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
