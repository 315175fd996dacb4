// The host's sampler (brantas.sample.Sampler with Counts and Philox) for kernel tests, in fp64 where that is in fp64, and a run
// of the sampling kernel over many rows with logits, a draw and counts of their own. The kernel's exponentials are fp32, good
// to 2 ulp and monotone to that, and its masses multiples of 2⁻⁴⁴: cumulative masses differ by less than 4 · 2⁻²⁴ +
// 2¹⁹ · 2⁻⁴⁴ < 5e-7 of the whole. So a draw whose uniform number lies within TOLERANCE of a boundary may go to a neighbour, and
// so may the end of the nucleus or min-p's limit; every other draw must be equal.
#pragma once
#include <algorithm>
#include <cmath>

#include "matrix.hpp"
#include "step_block.hpp"

#include "../../cuda-kernels/sample.cu"

constexpr double TOLERANCE = 1e-6;

inline Draw greedy() {
    return {0, 0, 0, 1, 0, 0, 0, 1, 0, -1};
}

/// A candidate of the host's sampler.
struct Candidate {
    i32 id;
    f32 logit;
    double p;
};

class HostSampler {
public:
    /// `counts` as the device has them, empty for none.
    HostSampler(std::vector<f32> logits, const std::vector<bool>& allowed, const Draw& draw, const std::vector<u32>& counts)
        : logits_(std::move(logits)), draw_(draw) {
        for (size_t id = 0; id < logits_.size(); id++) {
            if (!allowed[id] || std::isnan(logits_[id])) logits_[id] = -INFINITY;
            else if (!counts.empty()) penalise(logits_[id], counts[id]);
        }
        for (size_t id = 0; id < logits_.size(); id++)
            if (logits_[id] > -INFINITY) order_.push_back({static_cast<i32>(id), logits_[id], 0});
        std::sort(order_.begin(), order_.end(), [](const Candidate& a, const Candidate& b) {
            return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
        });
        if (draw.temperature == 0 || order_.empty()) return;
        const size_t vocabulary = logits_.size(), k = static_cast<size_t>(draw.top_k);
        if (k > 0 && k < vocabulary && k < order_.size()) order_.resize(k);
        const f32 max = order_[0].logit, scale = static_cast<f32>(1 / static_cast<double>(draw.temperature));
        for (Candidate& c : order_) c.p = c.logit == max ? 1 : std::exp(static_cast<double>((c.logit - max) * scale));
    }

    static double uniform(u64 seed, u64 position) {
        u32 c[4] = {static_cast<u32>(position), static_cast<u32>(position >> 32), 0, 0};
        u32 k[2] = {static_cast<u32>(seed), static_cast<u32>(seed >> 32)};
        for (int round = 0; round < 10; round++) {
            const u64 p0 = 0xD2511F53ull * c[0], p1 = 0xCD9E8D57ull * c[2];
            const u32 n0 = static_cast<u32>(p1 >> 32) ^ c[1] ^ k[0], n2 = static_cast<u32>(p0 >> 32) ^ c[3] ^ k[1];
            c[0] = n0, c[1] = static_cast<u32>(p1), c[2] = n2, c[3] = static_cast<u32>(p0);
            k[0] += 0x9E3779B9u, k[1] += 0xBB67AE85u;
        }
        return static_cast<double>((static_cast<u64>(c[0]) << 32 | c[1]) >> 11) * 0x1p-53;
    }

    bool empty() const { return order_.empty(); }

    /// The id that the host draws.
    i32 draw() const {
        if (draw_.temperature == 0) return order_[0].id;
        const std::vector<Candidate> kept = filtered(draw_.top_p, draw_.min_p);
        return kept[index(kept, uniform(draw_.seed, draw_.position))].id;
    }

    /// Whether the id is drawn by a number, with a nucleus and a limit that differ by no more than the tolerance.
    bool may_draw(i32 id) const {
        const double u = uniform(draw_.seed, draw_.position);
        for (double p : {0.0, -TOLERANCE, TOLERANCE}) {
            for (double m : {0.0, -TOLERANCE, TOLERANCE}) {
                if (draw_.top_p >= 1 && p != 0) continue;
                if (draw_.min_p == 0 && m != 0) continue;
                const std::vector<Candidate> kept = filtered(draw_.top_p + p, draw_.min_p * (1 + m));
                const size_t last = index(kept, u + TOLERANCE);
                for (size_t i = index(kept, u - TOLERANCE); i <= last; i++)
                    if (kept[i].id == id) return true;
            }
        }
        return false;
    }

private:
    void penalise(f32& logit, u32 count) const {
        if (count == 0) return;
        logit = logit > 0 ? logit / draw_.repetition_penalty : logit * draw_.repetition_penalty;
        const u32 generated = count & 0x7fffffffu;
        if (generated > 0)
            logit -= static_cast<f32>(static_cast<double>(draw_.presence_penalty) +
                                      static_cast<double>(draw_.frequency_penalty) * generated);
    }

    /// Candidates that the filters keep, in the order of the draw.
    std::vector<Candidate> filtered(double top_p, double min_p) const {
        double total = 0, before = 0;
        for (const Candidate& c : order_) total += c.p;
        std::vector<Candidate> kept;
        for (size_t i = 0; i < order_.size() && (draw_.top_p >= 1 || before < top_p * total || i == 0); i++) {
            before += order_[i].p;
            if (order_[i].p >= std::min(min_p, 1.0)) kept.push_back(order_[i]);
        }
        if (draw_.top_p >= 1)
            std::sort(kept.begin(), kept.end(), [](const Candidate& a, const Candidate& b) { return a.id < b.id; });
        return kept;
    }

    static size_t index(const std::vector<Candidate>& kept, double u) {
        double sum = 0;
        for (const Candidate& c : kept) sum += c.p;
        double target = u * sum;
        size_t chosen = 0;
        for (size_t i = 0; i < kept.size(); i++) {
            if (kept[i].p == 0) continue;
            chosen = i;
            target -= kept[i].p;
            if (target < 0) break;
        }
        return chosen;
    }

    std::vector<f32> logits_;
    Draw draw_;
    std::vector<Candidate> order_;
};

/// A launch of the kernel: `rows` outputs, all in the window unless the test narrows it.
class SampleRun {
public:
    SampleRun(i32 rows, i32 vocabulary)
        : step(std::vector<TestSequence>{{std::max(rows, 2)}}, rows), logits(rows, vocabulary, 1, "logits"),
          tokens(static_cast<size_t>(rows), "tokens"), vocabulary_(vocabulary),
          allowed_(static_cast<size_t>(vocabulary), true) {
        for (i32 o = 0; o < rows; o++) step.draw(o) = greedy();
    }

    i32 rows() const { return logits.rows(); }
    void forbid(i32 id) { allowed_[static_cast<size_t>(id)] = false; }
    void forbid_from(i32 id) {
        for (; id < vocabulary_; id++) forbid(id);
    }
    /// Gives a slot's counts; slots count from 0.
    void count(std::vector<u32> counts) { counts_.push_back(std::move(counts)); }

    /// Launches `grid` blocks and returns the error word.
    u32 run(i32 grid) {
        std::vector<u32> bits(static_cast<size_t>((vocabulary_ + 31) / 32), 0);
        for (i32 id = 0; id < vocabulary_; id++)
            if (allowed_[static_cast<size_t>(id)]) bits[static_cast<size_t>(id / 32)] |= 1u << id % 32;
        DeviceArray<u32> allowed(bits, "allowed"), error(1, "error");
        error[0] = 0;
        const i32 stride = counts_stride > 0 ? counts_stride : vocabulary_ + 1;
        DeviceArray<u32> counts(static_cast<size_t>(stride) * counts_.size(), "counts");
        for (size_t slot = 0; slot < counts_.size(); slot++)
            for (i32 id = 0; id < vocabulary_; id++)
                counts[slot * static_cast<size_t>(stride) + static_cast<size_t>(id)] = counts_[slot][static_cast<size_t>(id)];
        const SampleArgs args = {tokens.address(), logits.address(), allowed.address(), counts.address(), step.address(),
                                 error.address(), vocabulary_, logits.stride(), stride, 0};
        launch(KERNEL_OF(sample), {grid}, SAMPLE_THREADS, sizeof(SampleShared), args);
        return error[0];
    }
    u32 run() { return run(rows()); }

    HostSampler host(i32 row) {
        std::vector<f32> values;
        for (i32 id = 0; id < vocabulary_; id++) values.push_back(logits.at(row, id));
        const Draw& draw = step.draw(row);
        const bool penalises = draw.slot >= 0;
        return {values, allowed_, draw, penalises ? counts_[static_cast<size_t>(draw.slot)] : std::vector<u32>{}};
    }

    /// Every row's token is the host's, but for draws too near a boundary, whose number is returned.
    i32 check(Site site = Site::current()) {
        i32 near = 0;
        for (i32 r = 0; r < rows(); r++) {
            const HostSampler sampler = host(r);
            const i32 token = tokens[static_cast<size_t>(r)], expected = sampler.draw();
            if (token == expected) continue;
            if (!sampler.may_draw(token) || step.draw(r).temperature == 0) fail_test(difference(r, token, expected), site);
            near++;
        }
        return near;
    }

    StepBlock step;
    TestMatrix<f32> logits;
    DeviceArray<i32> tokens;
    i32 counts_stride = 0;  // 0: as narrow as the vocabulary allows

private:
    std::string difference(i32 row, i32 token, i32 expected) {
        const Draw& d = step.draw(row);
        char text[300];
        std::snprintf(text, sizeof text,
                      "row %d: %d is drawn, the host draws %d (vocabulary %d, temperature %g, top_k %d, top_p %g, min_p %g, "
                      "presence %g, frequency %g, repetition %g, slot %d, seed %llu, position %llu)",
                      row, token, expected, vocabulary_, d.temperature, d.top_k, d.top_p, d.min_p, d.presence_penalty,
                      d.frequency_penalty, d.repetition_penalty, d.slot, static_cast<unsigned long long>(d.seed),
                      static_cast<unsigned long long>(d.position));
        return text;
    }

    i32 vocabulary_;
    std::vector<bool> allowed_;
    std::vector<std::vector<u32>> counts_;
};
