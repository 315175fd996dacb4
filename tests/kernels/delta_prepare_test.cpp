// What the first half of the chunked delta rule leaves, against fp64: the triangular inverse, the gated QKᵀ and the factors of
// every chunk. Products and exponentials are fp32 and carry a few times 2⁻²⁴ of what they are made of; the merges of the
// inverse were measured at 2e-7 (spec 4.5), 1e-6 is allowed. On top comes one rounding to the stored format: half a unit in
// the last place, 2⁻¹¹ of the value for fp16 and not below 2⁻²⁵, 2⁻¹⁷ for a pair of bf16.
#include "harness.hpp"

#include "../../cuda-kernels/delta_prepare.cu"

#include "delta_layer.hpp"

namespace {

template <i32 C_, bool EXACT_>
struct Form {
    static constexpr i32 C = C_;
    static constexpr bool EXACT = EXACT_;
    using Chunk = DeltaChunk<C_, EXACT_ ? 2 : 1>;
    static const brantas::emulator::Entry& kernel() {
        if constexpr (EXACT_) return KERNEL_OF(delta_prepare_exact);
        else if constexpr (C_ == 64) return KERNEL_OF(delta_prepare_c64);
        else return KERNEL_OF(delta_prepare_c32);
    }
    static double rounding(double value) {
        return EXACT_ ? std::abs(value) * 0x1p-17 : std::max(std::abs(value) * 0x1p-11, 0x1p-25);
    }
    static double part(u16 bits) { return EXACT_ ? as_double(bf16{bits}) : static_cast<double>(from_f16(bits)); }
};
using Form64 = Form<64, false>;
using Form32 = Form<32, false>;
using FormExact = Form<32, true>;

constexpr double FACTOR_ERROR = 3e-6;  // exponentials of a gate that is itself rounded, and the norm
constexpr double INVERSE_ERROR = 1e-6;

template <class F>
struct Prepared {
    explicit Prepared(const DeltaInputs& in)
        : device(in), scaled(in.rows + DeltaDevice::SPARE_ROWS, 2 * in.is.key_width(), 0, "scaled"),
          bound((in.rows + static_cast<i32>(in.sequences.size()) * (F::C - 1)) / F::C),
          chunks(static_cast<size_t>(bound * in.is.value_heads()), "chunks") {}

    void run() {
        const DeltaCase& is = device.in.is;
        DeltaPrepareArgs args{device.step.address(), device.convolved.address(), device.projected.address(),
                              device.log_rate.address(), device.bias.address(), F::EXACT ? 0 : scaled.address(), chunks.address(),
                              is.key_heads, is.value_heads(), device.convolved.stride(), device.projected.stride()};
        launch(F::kernel(), {bound, is.key_heads}, F::C * 4, sizeof(PrepareShared<F::C>), args);
    }

    void check() {
        const DeltaInputs& in = device.in;
        i32 row = 0, chunk = 0;
        for (const TestSequence& s : in.sequences) {
            for (i32 first = 0; s.rows > 1 && first < s.rows; first += F::C, chunk++)
                for (i32 h = 0; h < in.is.value_heads(); h++)
                    check_chunk(chunks[static_cast<size_t>(chunk * in.is.value_heads() + h)], h, row + first,
                                std::min(F::C, s.rows - first));
            row += s.rows;
        }
        for (size_t i = static_cast<size_t>(chunk * in.is.value_heads()); i < chunks.size(); i++) CHECK(chunks.is_untouched(i));
    }

    void check_chunk(const typename F::Chunk& chunk, i32 head, i32 row, i32 rows) {
        std::vector<DeltaToken> tokens;
        for (i32 r = 0; r < rows; r++) tokens.push_back(device.in.token(row + r, head));
        std::vector<double> gates;
        for (const DeltaToken& t : tokens) gates.push_back(t.log_decay + (gates.empty() ? 0 : gates.back()));
        check_factors(chunk, head, row, tokens, gates);
        check_read(chunk, tokens, gates);
        check_inverse(chunk, tokens, gates);
    }

    static double element(const u16 (&m)[F::EXACT ? 2 : 1][LOWER_TILES<F::C>][TILE_ELEMENTS], i32 i, i32 j) {
        i32 tile = lower_tile(i / 16, j / 16), at = tile_half(i % 16, j % 16 / 8) + j % 8;
        double sum = 0;
        for (const auto& part : m) sum += F::part(part[tile][at]);
        return sum;
    }

    static double dot(const std::vector<double>& a, const std::vector<double>& b) {
        double sum = 0;
        for (size_t i = 0; i < DELTA_DIM; i++) sum += a[i] * b[i];
        return sum;
    }

    void check_factors(const typename F::Chunk& chunk, i32 head, i32 row, const std::vector<DeltaToken>& tokens, const std::vector<double>& gates) {
        const DeltaCase& is = device.in.is;
        i32 key = head / is.group * DELTA_DIM;
        for (i32 i = 0; i < F::C; i++) {
            size_t t = static_cast<size_t>(i);
            std::string what = "token " + std::to_string(i);
            if (t >= tokens.size()) {
                check_equal(chunk.beta[i], 0.0f, what);
                CHECK(std::isfinite(chunk.predict[i]) && std::isfinite(chunk.query[i]) && std::isfinite(chunk.update[i]));
                continue;
            }
            check_close(chunk.beta[i], tokens[t].beta, FACTOR_ERROR * tokens[t].beta + 1e-38, what + " beta");
            for (i32 n : {0, 1, 64, 127}) {
                double q = F::EXACT ? as_double(device.convolved.at(row + i, key + n)) : stored(row + i, key + n);
                double k = F::EXACT ? as_double(device.convolved.at(row + i, is.key_width() + key + n)) : stored(row + i, is.key_width() + key + n);
                double past = std::exp(gates[t]), rest = std::exp(gates.back() - gates[t]);
                size_t d = static_cast<size_t>(n);
                near(chunk.predict[i] * k, past * tokens[t].k[d], past, what + " predict");
                near(chunk.query[i] * q, past * tokens[t].q[d], past, what + " query");
                near(chunk.update[i] * k, rest * tokens[t].k[d], rest, what + " update");
            }
        }
        near(chunk.decay, std::exp(gates.back()), std::exp(gates.back()), "decay");
    }

    double stored(i32 row, i32 column) { return static_cast<double>(from_f16(scaled.at(row, column).bits)); }

    /// The exponent's error is a few times 2⁻²⁴ of itself; a factor of 1e-20 and below does nothing. A stored element far
    /// below its row's norm is a subnormal fp16: exact to 2⁻²⁵ of unit length.
    static void near(double actual, double expected, double gate, const std::string& what) {
        double relative = 1e-6 + 3e-7 * std::abs(std::log(gate));
        double tolerance = gate < 1e-20 ? 1e-19 : relative * std::abs(expected) + (F::EXACT ? 0 : 0x1p-24 * gate);
        check_close(actual, expected, tolerance, what);
    }

    static void check_read(const typename F::Chunk& chunk, const std::vector<DeltaToken>& tokens, const std::vector<double>& gates) {
        for (i32 i = 0; i < F::C; i++) {
            for (i32 j = 0; j < (i / 16 + 1) * 16; j++) {
                size_t a = static_cast<size_t>(i), b = static_cast<size_t>(j);
                bool live = j <= i && a < tokens.size();
                double expected = live ? dot(tokens[a].q, tokens[b].k) * std::exp(gates[a] - gates[b]) : 0;
                double tolerance = live ? F::rounding(expected) + FACTOR_ERROR * DELTA_SCALE : 0;
                check_close(element(chunk.read, i, j), expected, tolerance, "read " + std::to_string(i) + ", " + std::to_string(j));
            }
        }
    }

    static void check_inverse(const typename F::Chunk& chunk, const std::vector<DeltaToken>& tokens, const std::vector<double>& gates) {
        std::vector<std::vector<double>> inverse(F::C, std::vector<double>(F::C));
        for (i32 i = 0; i < F::C; i++) {
            size_t a = static_cast<size_t>(i);
            inverse[a][a] = 1;
            for (size_t b = 0; b < a && a < tokens.size(); b++) {
                double entry = tokens[a].beta * dot(tokens[a].k, tokens[b].k) * std::exp(gates[a] - gates[b]);
                for (size_t c = 0; c <= b; c++) inverse[a][c] -= entry * inverse[b][c];
            }
            for (i32 j = 0; j < (i / 16 + 1) * 16; j++) {
                double expected = inverse[a][static_cast<size_t>(j)], actual = element(chunk.solve, i, j);
                double tolerance = j < i && a < tokens.size() ? F::rounding(expected) + INVERSE_ERROR : 0;
                check_close(actual, expected, tolerance, "solve " + std::to_string(i) + ", " + std::to_string(j));
                CHECK(std::abs(actual) <= 1);
            }
        }
    }

    DeltaDevice device;
    TestMatrix<bf16> scaled;  // its bits are fp16
    i32 bound;
    DeviceArray<typename F::Chunk> chunks;
};

template <class F>
void check_case(const DeltaCase& wish, const std::vector<TestSequence>& sequences) {
    DeltaInputs in(wish, sequences, 1);
    for_all_schedules([&](const Schedule&) {
        Prepared<F> prepared(in);
        prepared.run();
        prepared.check();
        i32 singles = prepared.device.step.step().singles;
        prepared.scaled.check_untouched_outside(F::EXACT ? 0 : singles, F::EXACT ? 0 : in.rows);
    });
}

void check_everywhere(const DeltaCase& wish, const std::vector<TestSequence>& sequences) {
    check_case<Form64>(wish, sequences);
    check_case<Form32>(wish, sequences);
    check_case<FormExact>(wish, sequences);
}

}  // namespace

TEST(delta_prepare_for_every_length) {
    std::vector<TestSequence> sequences = {{1}};
    for (i32 rows : {2, 3, 15, 16, 17, 31, 32, 33, 63, 64, 65, 111, 127, 128, 129, 192}) sequences.push_back({rows});
    check_everywhere({.stream = 100}, sequences);
}

TEST(delta_prepare_for_every_group) {
    for (i32 group : {1, 2, 3, 4, 5, 8}) check_everywhere({.key_heads = 2, .group = group, .stream = 101}, {{1}, {1}, {70}, {33}});
}

TEST(delta_prepare_in_every_regime_of_gates) {
    for (Gates gates : {Gates::ONE, Gates::FAST, Gates::SLOW, Gates::STRONG, Gates::MIXED})
        check_everywhere({.group = 2, .gates = gates, .stream = 102}, {{100}});
    for (double logit : {-200.0, 200.0}) check_everywhere({.gates = Gates::SLOW, .beta_logit = logit, .stream = 103}, {{100}});
}

TEST(delta_prepare_inverts_with_correlated_keys) {
    for (Gates gates : {Gates::ONE, Gates::SLOW})
        check_everywhere({.gates = gates, .key_cosine = 0.95, .beta_logit = 5, .stream = 104}, {{128}});
}
