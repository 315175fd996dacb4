// A step of attention with its right answer: sequences with past and new rows, a paged cache with shuffled pages whose unused
// positions are not-a-number, queries and gates, and the result in fp64 straight from the formula (spec 3, steps 7 and 8).
// Tests of both attention kernels run the same problems.
#pragma once
#include <algorithm>
#include <numeric>

#include "common/attention.cuh"
#include "matrix.hpp"
#include "step_block.hpp"

struct AttentionShape {
    i32 kv_heads, group, page_size;
    i32 heads() const { return kv_heads * group; }
};

/// How the values of a problem are drawn.
struct Values {
    double query_scale = 1;    // 0: all scores are equal
    double dominant_score = 0; // otherwise: added to the score of one position of each sequence, and taken from another's
    i32 lost = -1;             // otherwise: page `lost` of a sequence and each third one behind it are −1
    u64 stream = 0;
};

class AttentionProblem {
public:
    AttentionProblem(AttentionShape shape, std::vector<TestSequence> sequences, Values values = {})
        : shape_(shape), sequences_(std::move(sequences)), values_(values), random_(values.stream) {
        lay_out_pages();
        for (const TestSequence& s : sequences_) rows_ += s.rows;
        size_t width = static_cast<size_t>(shape_.heads() * HEAD);
        q_.resize(static_cast<size_t>(rows_) * width);
        gates_.resize(q_.size());
        for (bf16& v : q_) v = to_bf16(static_cast<f32>(values_.query_scale * random_.normal()));
        for (bf16& v : gates_) v = to_bf16(static_cast<f32>(2 * random_.normal()));
        fill_cache();
        expected_.resize(q_.size());
        errors_.resize(q_.size());
        solve_all();
    }

    const AttentionShape& shape() const { return shape_; }
    const std::vector<TestSequence>& sequences() const { return sequences_; }
    const TestSequence& sequence(i32 s) const { return sequences_[static_cast<size_t>(s)]; }
    i32 count() const { return static_cast<i32>(sequences_.size()); }
    i32 rows() const { return rows_; }
    const std::vector<bf16>& keys() const { return keys_; }
    const std::vector<bf16>& values() const { return cached_values_; }
    bf16 query(i32 row, i32 column) const { return q_[index(row, column)]; }
    bf16 gate(i32 row, i32 column) const { return gates_[index(row, column)]; }
    double expected(i32 row, i32 column) const { return expected_[index(row, column)]; }

    /// The rows are what one rounding makes of the right values within the kernels' error.
    void check_rows(const TestMatrix<bf16>& actual, i32 from, i32 to, Site site = Site::current()) const {
        for (i32 row = from; row < to; row++)
            for (i32 c = 0; c < shape_.heads() * HEAD; c++)
                check_rounded(actual.at(row, c), expected_[index(row, c)], errors_[index(row, c)],
                              "row " + std::to_string(row) + " column " + std::to_string(c), site);
    }

private:
    void lay_out_pages() {
        i32 pages = 1;  // one page that nobody owns
        for (const TestSequence& s : sequences_) pages += pages_of(s);
        std::vector<i32> order(static_cast<size_t>(pages));
        std::iota(order.begin(), order.end(), 0);
        for (size_t i = order.size() - 1; i > 0; i--)
            std::swap(order[i], order[static_cast<size_t>(random_.integer(0, static_cast<i64>(i)))]);
        size_t next = 0;
        for (TestSequence& s : sequences_)
            for (i32 p = 0; p < pages_of(s); p++) {
                i32 page = order[next++];
                s.pages.push_back(values_.lost >= 0 && p % 3 == values_.lost ? -1 : page);
            }
        size_t size = static_cast<size_t>(pages) * static_cast<size_t>(shape_.page_size * shape_.kv_heads * HEAD);
        keys_.assign(size, bf16{0xffff});
        cached_values_.assign(size, bf16{0xffff});
    }

    size_t index(i32 row, i32 column) const {
        return static_cast<size_t>(row) * static_cast<size_t>(shape_.heads() * HEAD) + static_cast<size_t>(column);
    }
    i32 pages_of(const TestSequence& s) const { return (s.past + s.rows + shape_.page_size - 1) / shape_.page_size; }

    /// Where a position's line of a KV head begins, or −1.
    i64 line(i32 s, i32 position, i32 kv_head) const {
        i32 page = sequence(s).pages[static_cast<size_t>(position / shape_.page_size)];
        if (page < 0) return -1;
        i64 place = static_cast<i64>(page) * shape_.page_size + position % shape_.page_size;
        return (place * shape_.kv_heads + kv_head) * HEAD;
    }

    void fill_cache() {
        for (i32 s = 0, row = 0; s < count(); row += sequence(s).rows, s++) {
            i32 length = sequence(s).past + sequence(s).rows;
            for (i32 position = 0; position < length; position++)
                for (i32 g = 0; g < shape_.kv_heads; g++) {
                    i64 at = line(s, position, g);
                    for (i32 d = 0; d < HEAD && at >= 0; d++) {
                        keys_[static_cast<size_t>(at + d)] = to_bf16(static_cast<f32>(random_.normal()));
                        cached_values_[static_cast<size_t>(at + d)] = to_bf16(static_cast<f32>(random_.normal()));
                    }
                }
            if (values_.dominant_score == 0) continue;
            // A key along the last row's query of the first head of each group has the score wished for.
            for (i32 g = 0; g < shape_.kv_heads; g++) {
                i32 last = row + sequence(s).rows - 1;
                set_key(line(s, length / 2, g), last, g * shape_.group, values_.dominant_score);
                set_key(line(s, length / 3, g), last, g * shape_.group, -values_.dominant_score);
            }
        }
    }

    void set_key(i64 at, i32 row, i32 head, double score) {
        double square = 0;
        for (i32 d = 0; d < HEAD; d++) square += std::pow(as_double(query(row, head * HEAD + d)), 2);
        for (i32 d = 0; d < HEAD && at >= 0; d++)
            keys_[static_cast<size_t>(at + d)] =
                to_bf16(static_cast<f32>(as_double(query(row, head * HEAD + d)) * 16 * score / square));
    }

    /// A sequence's keys and values of one KV head, line after line, without the positions that are not in the cache.
    struct Lines {
        std::vector<double> keys, values;
        std::vector<i32> positions;
    };

    Lines gather(i32 s, i32 kv_head) const {
        Lines lines;
        for (i32 position = 0; position < sequence(s).past + sequence(s).rows; position++) {
            i64 at = line(s, position, kv_head);
            if (at < 0) continue;
            lines.positions.push_back(position);
            for (i32 d = 0; d < HEAD; d++) {
                lines.keys.push_back(as_double(keys_[static_cast<size_t>(at + d)]));
                lines.values.push_back(as_double(cached_values_[static_cast<size_t>(at + d)]));
            }
        }
        return lines;
    }

    void solve_all() {
        for (i32 s = 0, first = 0; s < count(); first += sequence(s).rows, s++)
            for (i32 g = 0; g < shape_.kv_heads; g++) {
                Lines lines = gather(s, g);
                for (i32 r = 0; r < sequence(s).rows; r++) {
                    i32 own = sequence(s).past + r;
                    auto end = std::upper_bound(lines.positions.begin(), lines.positions.end(), own);
                    i32 seen = static_cast<i32>(end - lines.positions.begin());
                    for (i32 h = g * shape_.group; h < (g + 1) * shape_.group; h++) solve(lines, seen, first + r, h);
                }
            }
    }

    /// One row and head over the first `seen` lines. The error before the rounding, each term twice what is predicted: a raw
    /// score is a sum of 256 exact products in fp32, whose roundings add up like a random walk of √256 = 16 steps; the
    /// power's argument has three roundings of the size of the largest score, and the power 2 ulp. That is the relative
    /// error of a probability, in the sum of values and in that of probabilities. Two bf16 cut a probability below 2⁻¹⁵,
    /// always downwards, and the sum of values is a walk of two steps a position. The division and the gate add a few
    /// roundings of the result.
    void solve(const Lines& lines, i32 seen, i32 row, i32 head) {
        std::vector<double> query_line(HEAD), p(static_cast<size_t>(seen));
        for (i32 d = 0; d < HEAD; d++) query_line[static_cast<size_t>(d)] = as_double(query(row, head * HEAD + d));
        double top = -HUGE_VAL, largest = 0, spread = 0;
        for (i32 j = 0; j < seen; j++) {
            Dot dot = dot_of(query_line.data(), lines.keys.data() + j * HEAD);
            p[static_cast<size_t>(j)] = dot.sum / 16;
            top = std::max(top, dot.sum / 16);
            largest = std::max(largest, std::abs(dot.sum / 16));
            spread = std::max(spread, dot.size / 16);
        }
        double sum = 0;
        std::vector<double> out(HEAD, 0), size(HEAD, 0);
        for (i32 j = 0; j < seen; j++) {
            double e = std::exp(p[static_cast<size_t>(j)] - top);
            sum += e;
            add_line(out.data(), size.data(), e, lines.values.data() + j * HEAD);
        }
        double probability = 2 * (16 * FP32 * spread + 3 * FP32 * largest + 4 * FP32);
        double relative = 2 * probability + 0x1p-15 + 2 * FP32 * std::sqrt(2.0 * seen);
        for (i32 d = 0; d < HEAD; d++) {
            size_t to = index(row, head * HEAD + d), from = static_cast<size_t>(d);
            double gate = 1 / (1 + std::exp(-as_double(gates_[to])));
            expected_[to] = sum > 0 ? out[from] / sum * gate : 0;
            errors_[to] = sum > 0 ? gate * (relative * size[from] / sum + 8 * FP32 * std::abs(out[from] / sum)) : 0;
        }
    }

    struct Dot {
        double sum, size;  // of the products and of their magnitudes
    };

    // The two inner loops are the test's own and most of its time: no need to watch their accesses.
    [[gnu::no_sanitize("thread")]] static Dot dot_of(const double* a, const double* b) {
        Dot dot{0, 0};
        for (i32 d = 0; d < HEAD; d++) {
            dot.sum += a[d] * b[d];
            dot.size += std::abs(a[d] * b[d]);
        }
        return dot;
    }
    [[gnu::no_sanitize("thread")]] static void add_line(double* out, double* size, double factor, const double* line) {
        for (i32 d = 0; d < HEAD; d++) {
            out[d] += factor * line[d];
            size[d] += factor * std::abs(line[d]);
        }
    }

    AttentionShape shape_;
    std::vector<TestSequence> sequences_;
    Values values_;
    Random random_;
    i32 rows_ = 0;
    std::vector<bf16> q_, gates_, keys_, cached_values_;
    std::vector<double> expected_, errors_;
};

/// A problem, or some sequences of it, in device memory.
class AttentionRun {
public:
    static constexpr i32 SPARE = 2;  // rows behind those in use, poisoned

    explicit AttentionRun(const AttentionProblem& problem) : AttentionRun(problem, problem.sequences(), all(problem)) {}

    /// The sequences as given, and for each row the row of the problem.
    AttentionRun(const AttentionProblem& problem, const std::vector<TestSequence>& sequences, const std::vector<i32>& rows)
        : shape(problem.shape()), width(shape.heads() * HEAD), count(static_cast<i32>(rows.size())),
          dst(count + SPARE, width, 1, "dst"), q(count + SPARE, width, 2, "q"),
          projected(count + SPARE, 2 * width + 2 * shape.kv_heads * HEAD, 0, "projected"), keys(problem.keys(), "keys"),
          values(problem.values(), "values"), step(sequences) {
        for (i32 r = 0; r < count; r++)
            for (i32 c = 0; c < width; c++) {
                q.at(r, c) = problem.query(rows[static_cast<size_t>(r)], c);
                projected.at(r, 2 * HEAD * (c / HEAD) + HEAD + c % HEAD) = problem.gate(rows[static_cast<size_t>(r)], c);
            }
    }

    static std::vector<i32> all(const AttentionProblem& problem) {
        std::vector<i32> rows(static_cast<size_t>(problem.rows()));
        std::iota(rows.begin(), rows.end(), 0);
        return rows;
    }

    /// Row `mine` has the same bits as row `theirs` of another run.
    void check_same(i32 mine, const AttentionRun& other, i32 theirs, Site site = Site::current()) const {
        for (i32 c = 0; c < width; c++)
            check_equal(dst.at(mine, c).bits, other.dst.at(theirs, c).bits,
                        "row " + std::to_string(mine) + " column " + std::to_string(c), site);
    }

    AttentionShape shape;
    i32 width, count;
    TestMatrix<bf16> dst, q, projected;
    DeviceArray<bf16> keys, values;
    StepBlock step;
};

/// A problem's cache that begins at element 2³¹ of a larger one, so that no index fits 32 bits; only what is touched costs
/// memory.
struct FarCache {
    explicit FarCache(const AttentionProblem& problem)
        : sequences(problem.sequences()), keys(first_element() + problem.keys().size(), "keys"),
          values(first_element() + problem.values().size(), "values") {
        const i64 page = static_cast<i64>(problem.shape().page_size) * problem.shape().kv_heads * HEAD;
        if (static_cast<i64>(first_element()) % page != 0) fail_test("no page begins there", Site::current());
        for (TestSequence& s : sequences)
            for (i32& p : s.pages) p += p < 0 ? 0 : static_cast<i32>(static_cast<i64>(first_element()) / page);
        for (size_t i = 0; i < problem.keys().size(); i++) {
            keys[first_element() + i] = problem.keys()[i];
            values[first_element() + i] = problem.values()[i];
        }
    }
    static size_t first_element() { return size_t{1} << 31; }

    std::vector<TestSequence> sequences;
    DeviceArray<bf16> keys, values;
};
