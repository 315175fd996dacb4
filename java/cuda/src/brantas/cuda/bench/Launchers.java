package brantas.cuda.bench;

import brantas.cuda.driver.DeviceInfo;
import brantas.cuda.driver.Module;
import brantas.cuda.launch.AttendChunk;
import brantas.cuda.launch.AttendStep;
import brantas.cuda.launch.Convolve;
import brantas.cuda.launch.CountTokens;
import brantas.cuda.launch.DeltaForm;
import brantas.cuda.launch.DeltaPrepare;
import brantas.cuda.launch.DeltaScan;
import brantas.cuda.launch.DeltaStep;
import brantas.cuda.launch.Embed;
import brantas.cuda.launch.ExpertCombine;
import brantas.cuda.launch.ExpertGemm;
import brantas.cuda.launch.ExpertGemv;
import brantas.cuda.launch.ExpertOrder;
import brantas.cuda.launch.GatedNorm;
import brantas.cuda.launch.Gemm;
import brantas.cuda.launch.Gemv;
import brantas.cuda.launch.RmsNorm;
import brantas.cuda.launch.Rotations;
import brantas.cuda.launch.Route;
import brantas.cuda.launch.Sample;
import brantas.cuda.launch.StoreKv;

/// The launchers, as the backend has them.
///
/// @param form of the delta rule on this device
record Launchers(
        DeltaForm form,
        Embed embed,
        Rotations rotations,
        RmsNorm norm,
        Gemv gemv,
        Gemm gemm,
        Convolve convolve,
        DeltaStep deltaStep,
        DeltaPrepare prepare,
        DeltaScan scan,
        GatedNorm gatedNorm,
        StoreKv storeKv,
        AttendStep attendStep,
        AttendChunk attendChunk,
        Route route,
        ExpertGemv expertGemv,
        ExpertOrder order,
        ExpertGemm expertGemm,
        ExpertCombine combine,
        CountTokens countTokens,
        Sample sample) {
    static Launchers of(Module module, DeviceInfo info) {
        DeltaForm form = DeltaForm.of(info.sharedMemory());
        int multiprocessors = info.multiprocessors();
        return new Launchers(
                form,
                new Embed(module),
                new Rotations(module),
                new RmsNorm(module),
                new Gemv(module, info),
                new Gemm(module, info),
                new Convolve(module),
                new DeltaStep(module),
                new DeltaPrepare(module, form),
                new DeltaScan(module, form, multiprocessors),
                new GatedNorm(module),
                new StoreKv(module),
                new AttendStep(module),
                new AttendChunk(module),
                new Route(module),
                new ExpertGemv(module),
                new ExpertOrder(module),
                new ExpertGemm(module, info),
                new ExpertCombine(module),
                new CountTokens(module),
                new Sample(module));
    }
}
