// A gated delta-rule layer for kernel tests: random inputs in a chosen regime of gates and keys, and what the recurrence of
// spec 4.4 makes of them, token by token in fp64. DeltaInputs holds numbers that the device formats hold exactly, so that
// the reference starts from the same values; DeltaDevice is one fresh copy of them in device memory, with everything that no
// kernel may read left as not-a-number.
#pragma once
#include "common/delta.cuh"
#include "matrix.hpp"
#include "step_block.hpp"

enum class Gates {
    USUAL,   // rates of all sizes
    ONE,     // A_log so low that no state decays
    FAST,    // rate 16
    SLOW,    // α and β in [0.99, 1)
    STRONG,  // rate 16 and a = 50: e^g is zero
    MIXED,   // tokens of STRONG among tokens of SLOW
};

struct DeltaCase {
    i32 key_heads = 1;
    i32 group = 1;
    Gates gates = Gates::USUAL;
    double key_cosine = 0;     // between any two keys of a sequence
    double beta_logit = NAN;   // every token's b, unless not-a-number
    double value_scale = 1;
    u64 stream = 0;

    i32 value_heads() const { return key_heads * group; }
    i32 key_width() const { return key_heads * DELTA_DIM; }
    i32 value_width() const { return value_heads() * DELTA_DIM; }
    i32 channels() const { return 2 * key_width() + value_width(); }
    i32 b() const { return channels() + value_width(); }
    i32 projected() const { return b() + 2 * value_heads(); }
};

constexpr size_t DELTA_STATE = static_cast<size_t>(DELTA_DIM) * DELTA_DIM;

/// Relative error of a head's outputs or state; 0 where all has decayed beyond use, in the reference too.
inline double delta_error(std::span<const f32> actual, std::span<const double> expected) {
    double most = 0;
    for (size_t i = 0; i < actual.size(); i++)
        most = std::max({most, std::abs(expected[i]), std::isnan(actual[i]) ? HUGE_VAL : std::abs(as_double(actual[i]))});
    return most < 1e-20 ? 0 : relative_l2(actual, expected);
}

/// What the recurrence reads of a token and head.
struct DeltaToken {
    std::vector<double> q, k, v;  // normalised, q scaled
    double log_decay, beta;
};

class DeltaInputs {
public:
    /// `slots` state slots, of which the sequences use some.
    DeltaInputs(const DeltaCase& wish, const std::vector<TestSequence>& wanted, i32 slot_count)
        : is(wish), sequences(wanted), slots(slot_count) {
        Random random(1000 + is.stream);
        for (const TestSequence& s : sequences) rows += s.rows;
        for (i32 h = 0; h < is.value_heads(); h++) {
            log_rate.push_back(static_cast<f32>(rate_logarithm(random)));
            bias.push_back(rounded_to_bf16(static_cast<f32>(is.gates == Gates::USUAL ? 0.5 * random.normal() : 0)));
        }
        for (const TestSequence& s : sequences) fill(random, s.rows);
        for (size_t i = 0; i < static_cast<size_t>(slots * is.value_heads()) * DELTA_STATE; i++)
            state.push_back(static_cast<f32>(is.value_scale * 0.1 * random.normal()));
        solve();
    }

    /// The recurrence over what `convolved` holds now.
    void solve() {
        expected_state.assign(state.begin(), state.end());
        expected.resize(static_cast<size_t>(rows) * static_cast<size_t>(is.value_width()));
        run();
    }

    DeltaToken token(i32 row, i32 head) const {
        DeltaToken t;
        const f32* c = &convolved[static_cast<size_t>(row * is.channels())];
        const f32* p = &gates[static_cast<size_t>(row * 2 * is.value_heads())];
        i32 key = head / is.group * DELTA_DIM;
        t.q = unit(c + key, 1 / std::sqrt(128.0));
        t.k = unit(c + is.key_width() + key, 1);
        const f32* v = c + 2 * is.key_width() + head * DELTA_DIM;
        t.v.assign(v, v + DELTA_DIM);
        t.beta = 1 / (1 + std::exp(-static_cast<double>(p[head])));
        double x = static_cast<double>(p[is.value_heads() + head]) + static_cast<double>(bias[static_cast<size_t>(head)]);
        t.log_decay = -std::exp(static_cast<double>(log_rate[static_cast<size_t>(head)])) * (x > 30 ? x : std::log1p(std::exp(x)));
        return t;
    }

    size_t state_at(i32 slot, i32 head) const { return static_cast<size_t>(slot * is.value_heads() + head) * DELTA_STATE; }
    size_t out_at(i32 row, i32 head) const { return static_cast<size_t>(row * is.value_width() + head * DELTA_DIM); }

    DeltaCase is;
    std::vector<TestSequence> sequences;
    i32 slots, rows = 0;
    std::vector<f32> convolved;        // [rows, channels]
    std::vector<f32> gates;            // [rows, 2 value_heads]: b, a
    std::vector<f32> log_rate, bias;
    std::vector<f32> state;            // [slots, value_heads, 128, 128]
    std::vector<double> expected;      // [rows, value_width]
    std::vector<double> expected_state;

private:
    double rate_logarithm(Random& random) const {
        if (is.gates == Gates::ONE) return -100;
        if (is.gates == Gates::SLOW || is.gates == Gates::MIXED) return 0;
        if (is.gates == Gates::FAST || is.gates == Gates::STRONG) return std::log(16.0);
        return random.uniform(-4, 2.7);
    }

    double decay_input(Random& random) const {
        bool strong = is.gates == Gates::STRONG || (is.gates == Gates::MIXED && random.unit() < 0.15);
        if (strong) return 50;
        if (is.gates == Gates::SLOW || is.gates == Gates::MIXED) return std::log(random.uniform(1e-4, 0.009));
        return random.normal() - 1;
    }

    double beta_input(Random& random) const {
        if (!std::isnan(is.beta_logit)) return is.beta_logit;
        return is.gates == Gates::SLOW ? random.uniform(4.7, 9) : 2 * random.normal();
    }

    /// Some tokens have keys so short that the constant in the root counts, or none.
    double key_length(Random& random) const {
        double chance = random.unit();
        return chance < 0.05 ? 0 : chance < 0.1 ? 1e-4 : chance < 0.15 ? 100 : 1;
    }

    void fill(Random& random, i32 count) {
        auto put = [](std::vector<f32>& to, double x) { to.push_back(rounded_to_bf16(static_cast<f32>(x))); };
        std::vector<double> common;
        for (i32 i = 0; i < is.key_width(); i++) common.push_back(random.normal());
        double apart = is.key_cosine > 0 ? std::sqrt(1 / is.key_cosine - 1) : 1;
        for (i32 r = 0; r < count; r++) {
            double length = key_length(random);
            for (i32 i = 0; i < is.key_width(); i++) put(convolved, 3 * length * random.normal());
            for (i32 i = 0; i < is.key_width(); i++)
                put(convolved, length * ((is.key_cosine > 0 ? common[static_cast<size_t>(i)] : 0) + apart * random.normal()));
            for (i32 i = 0; i < is.value_width(); i++) put(convolved, is.value_scale * random.normal());
            for (i32 h = 0; h < is.value_heads(); h++) put(gates, beta_input(random));
            for (i32 h = 0; h < is.value_heads(); h++) put(gates, decay_input(random));
        }
    }

    static std::vector<double> unit(const f32* from, double scale) {
        std::vector<double> x(from, from + DELTA_DIM);
        double sum = 0;
        for (double v : x) sum += v * v;
        for (double& v : x) v *= scale / std::sqrt(sum + 1e-6);
        return x;
    }

    void run() {
        i32 row = 0;
        for (const TestSequence& s : sequences) {
            for (i32 h = 0; h < is.value_heads(); h++) {
                std::vector<double> own(DELTA_STATE);
                double* at = s.slot < 0 ? own.data() : &expected_state[state_at(s.slot, h)];
                for (i32 r = 0; r < s.rows; r++) move(at, token(row + r, h), &expected[out_at(row + r, h)]);
            }
            row += s.rows;
        }
    }

    /// One token: S is [value][key].
    static void move(double* s, const DeltaToken& t, double* out) {
        double decay = std::exp(t.log_decay);
        for (size_t v = 0; v < DELTA_DIM; v++, s += DELTA_DIM) {
            double predicted = 0, read = 0;
            for (size_t k = 0; k < DELTA_DIM; k++) predicted += decay * s[k] * t.k[k];
            double u = t.beta * (t.v[v] - predicted);
            for (size_t k = 0; k < DELTA_DIM; k++) {
                s[k] = decay * s[k] + t.k[k] * u;
                read += s[k] * t.q[k];
            }
            out[v] = read;
        }
    }
};

class DeltaDevice {
public:
    /// Rows that the arrays have beyond the batch.
    static constexpr i32 SPARE_ROWS = 3;

    explicit DeltaDevice(const DeltaInputs& inputs)
        : in(inputs), step(inputs.sequences), convolved(inputs.rows + SPARE_ROWS, inputs.is.channels(), 1, "convolved"),
          projected(inputs.rows + SPARE_ROWS, inputs.is.projected(), 1, "projected"),
          dst(inputs.rows + SPARE_ROWS, inputs.is.value_width(), 1, "dst"), log_rate(inputs.log_rate, "log_rate"),
          bias(inputs.bias, "bias"), state(inputs.state.size(), "state") {
        for (i32 r = 0; r < in.rows; r++) {
            for (i32 c = 0; c < in.is.channels(); c++) convolved.at(r, c) = to_bf16(in.convolved[static_cast<size_t>(r * in.is.channels() + c)]);
            for (i32 c = 0; c < 2 * in.is.value_heads(); c++)
                projected.at(r, in.is.b() + c) = to_bf16(in.gates[static_cast<size_t>(r * 2 * in.is.value_heads() + c)]);
        }
        for (const TestSequence& s : in.sequences) {
            for (size_t i = 0; s.slot >= 0 && i < slot_size(); i++) state[in.state_at(s.slot, 0) + i] = in.state[in.state_at(s.slot, 0) + i];
        }
    }

    size_t slot_size() const { return static_cast<size_t>(in.is.value_heads()) * DELTA_STATE; }

    /// States of the sequences are near the recurrence's, each head by itself; all others were not written. Returns the
    /// largest relative error.
    double check_states(double tolerance, Site site = Site::current()) const {
        std::vector<bool> used(static_cast<size_t>(in.slots));
        double worst = 0;
        for (const TestSequence& s : in.sequences) {
            if (s.slot < 0) continue;
            used[static_cast<size_t>(s.slot)] = true;
            for (i32 h = 0; h < in.is.value_heads(); h++) {
                size_t at = in.state_at(s.slot, h);
                double error = delta_error(state.span().subspan(at, DELTA_STATE),
                                           std::span<const double>(in.expected_state).subspan(at, DELTA_STATE));
                worst = std::max(worst, error);
                check_close(error, 0.0, tolerance, "state error of " + std::to_string(s.rows) + " tokens, head " + std::to_string(h), site);
            }
        }
        for (i32 slot = 0; slot < in.slots; slot++)
            for (size_t i = 0; !used[static_cast<size_t>(slot)] && i < slot_size(); i++)
                if (!state.is_untouched(in.state_at(slot, 0) + i)) fail_test("a slot without a sequence was written", site);
        return worst;
    }

    const DeltaInputs& in;
    StepBlock step;
    TestMatrix<bf16> convolved, projected, dst;
    DeviceArray<f32> log_rate, bias, state;
};
