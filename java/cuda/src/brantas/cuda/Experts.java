package brantas.cuda;

import brantas.cuda.driver.DeviceInfo;
import brantas.cuda.driver.Module;
import brantas.cuda.driver.Rows;
import brantas.cuda.launch.ExpertCombine;
import brantas.cuda.launch.ExpertGemm;
import brantas.cuda.launch.ExpertGemv;
import brantas.cuda.launch.ExpertGemv.Choice;
import brantas.cuda.launch.ExpertOrder;
import brantas.cuda.launch.Gemv;
import brantas.cuda.launch.Matrix;
import brantas.cuda.launch.Route;
import brantas.op.ExpertShape;
import brantas.op.Norm;
import brantas.op.RowSpan;
import brantas.op.Weight;
import brantas.settings.BrantasException;

/// The mixture of experts: single rows read the weights of their own experts in two launches; the
/// others are brought into expert order and go through grouped products.
final class Experts {
    private final CurrentStep step;
    private final Route route;
    private final ExpertOrder order;
    private final ExpertGemm gemm;
    private final ExpertGemv gemv;
    private final ExpertCombine combine;

    Experts(CurrentStep step, Module module, DeviceInfo device) {
        this.step = step;
        route = new Route(module);
        order = new ExpertOrder(module);
        gemm = new ExpertGemm(module, device);
        gemv = new ExpertGemv(module);
        combine = new ExpertCombine(module);
    }

    /// Refuses numbers that no kernel is built for.
    static void check(ExpertShape shape) {
        if (shape.experts() > Route.MOST_EXPERTS || shape.perToken() > Route.MOST_SLOTS) {
            throw new BrantasException(
                    "The cuda backend routes a token to up to 16 of up to 512 experts, and this model"
                            + " routes it to "
                            + shape.perToken()
                            + " of "
                            + shape.experts()
                            + ": use --backend simd.");
        }
    }

    void route(Routes dst, DeviceBuffer x, DeviceWeight router, RowSpan rows) {
        route.launch(
                step.stream(),
                choice(dst),
                x.matrix(),
                router.matrix(),
                dst.work(),
                step.all(rows));
    }

    /// Norm and router of a few rows in one launch.
    ///
    /// @return false if nothing was done, because there are others
    boolean routeNormed(
            Routes dst,
            DeviceBuffer x,
            Norm norm,
            DeviceBuffer normed,
            Weight router,
            RowSpan span) {
        Matrix matrix = CudaBackend.device(router).matrix();
        int most = Math.min(Route.NORMED_TOGETHER, Gemv.fusedRows(matrix.cols()));
        if (!step.hasOnlySingles(span, most)) {
            return false;
        }
        long weight = CudaBackend.device(norm.weight()).address();
        Route.Unnormed from = new Route.Unnormed(x.matrix(), weight, norm.eps(), normed.matrix());
        Rows rows = step.singles(span);
        route.launch(step.stream(), choice(dst), from, matrix, dst.work(), rows);
        return true;
    }

    void apply(DeviceBuffer dst, DeviceBuffer x, Routes routes, ExpertWeights w, RowSpan span) {
        Rows singles = step.singles(span);
        if (singles.count() > 0) {
            gemv.up(
                    step.stream(),
                    routes.inner().matrix(),
                    x.matrix(),
                    w.matrices(),
                    choice(routes),
                    singles);
            gemv.down(
                    step.stream(),
                    dst.matrix(),
                    routes.inner().matrix(),
                    w.matrices(),
                    choice(routes),
                    singles);
        }
        Rows several = step.several(span);
        if (several.count() > 0) {
            grouped(dst, x, routes, w, several);
        }
    }

    private void grouped(
            DeviceBuffer dst, DeviceBuffer x, Routes routes, ExpertWeights w, Rows rows) {
        ExpertShape shape = routes.shape();
        int slots = shape.perToken();
        ExpertGemm.Order sorted =
                new ExpertGemm.Order(
                        routes.order().address(),
                        routes.tiles().address(),
                        routes.tileCount().address(),
                        ExpertGemm.tileRows(rows.count(), slots, shape.experts()),
                        slots,
                        rows);
        order.launch(step.stream(), sorted, routes.ids().address(), shape.experts());
        gemm.up(step.stream(), routes.inner().matrix(), x.matrix(), w.matrices(), sorted);
        gemm.down(
                step.stream(),
                routes.out().matrix(),
                routes.inner().matrix(),
                w.matrices(),
                sorted);
        combine.launch(step.stream(), dst.matrix(), routes.out().matrix(), choice(routes), rows);
    }

    private static Choice choice(Routes routes) {
        return new Choice(
                routes.ids().address(),
                routes.scales().address(),
                routes.gates().address(),
                routes.shape().perToken());
    }
}
