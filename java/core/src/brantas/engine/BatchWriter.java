package brantas.engine;

import brantas.op.StepBatch;

/// The only place where sequences become arrays: writes a plan into the step batch.
final class BatchWriter {
    private final StepBatch batch;
    private final int pageSize;

    BatchWriter(StepBatch batch, int pageSize) {
        this.batch = batch;
        this.pageSize = pageSize;
    }

    void write(StepPlan plan) {
        batch.clear();
        for (int i = 0; i < plan.size(); i++) {
            Sequence s = plan.sequence(i);
            int count = plan.count(i);
            int past = s.computed();
            batch.addSequence(past, s.cache().slot());
            if (s.request.sampling().penalises()) {
                batch.countTokens(s.request.prompt().length);
            }
            int lastPage = (past + count - 1) / pageSize;
            for (int page = 0; page <= lastPage; page++) {
                batch.addPage(s.cache().page(page));
            }
            for (int t = past; t < past + count; t++) {
                boolean last = t == s.length() - 1;
                batch.addRow(s.token(t), t, t, t, last);
                if (last) {
                    batch.draw(s.request.sampling(), s.length());
                }
            }
        }
        batch.seal();
    }
}
