// Norm, rotation and cache write against the formula in fp64; values are compared bit for bit. A rotated or plain channel must
// be the one rounding of a value whose fp32 error is bounded so: the sum of squares adds at most 13 terms one after another,
// the root halves that error, mean, root, 1 + weight and two products round once each: 12.5 · 2⁻²⁴; a rotation rounds two
// products and their sum: 2 more of |a cos| + |b sin|. Taken twice.
#include <set>

#include "matrix.hpp"
#include "step_block.hpp"

#include "../../cuda-kernels/store_kv.cu"

namespace {

constexpr f32 EPS = 1e-6f;
constexpr i32 DIM = 256;

struct Shape {
    i32 heads, kv_heads, rotary, page_size;
};

/// A layer, its cache and a batch; gates are poisoned, for they are none of this kernel's business.
struct Layer {
    Layer(Shape shape_of_layer, i32 cache_pages, const std::vector<TestSequence>& batch)
        : shape(shape_of_layer), sequences(batch), step(batch), rows(step.rows()), pages(cache_pages),
          projected(rows, 2 * DIM * (shape.heads + shape.kv_heads), 0, "projected"), q(rows, DIM * shape.heads, 1, "q"),
          rotations(rows, shape.rotary, 0, "rotations"), query_norm(DIM, "query norm"), key_norm(DIM, "key norm"),
          keys(cache_size(), "keys"), values(cache_size(), "values") {
        Random random(static_cast<u64>(shape.heads * 1000 + shape.rotary));
        projected.randomize(random, 2);
        for (i32 r = 0; r < rows; r++) {
            for (i32 h = 0; h < shape.heads; h++)
                for (i32 i = 0; i < DIM; i++) projected.at(r, (2 * h + 1) * DIM + i) = {0x7fc0};
        }
        rotations.randomize(random);
        for (f32& w : query_norm.span()) w = static_cast<f32>(0.3 * random.normal());
        for (f32& w : key_norm.span()) w = static_cast<f32>(0.3 * random.normal());
    }

    size_t cache_size() const { return place(pages, 0, 0); }
    /// First element of a head at a position of a page.
    size_t place(i32 page, i32 position, i32 head) const {
        return static_cast<size_t>(((static_cast<i64>(page) * shape.page_size + position) * shape.kv_heads + head) * DIM);
    }

    StoreKvArgs args(Rows of) const {
        return {q.address(), projected.address(), query_norm.address(), key_norm.address(), rotations.address(), keys.address(),
                values.address(), step.address(), of, shape.heads, shape.kv_heads, shape.rotary, shape.page_size, q.stride(),
                projected.stride(), rotations.stride(), EPS};
    }
    Grid grid(Rows of) const { return {of.to - of.from, (shape.heads + 2 * shape.kv_heads + 7) / 8}; }
    void run(Rows of) { launch(KERNEL_OF(store_kv), grid(of), 256, sizeof(StoreKvShared), args(of)); }

    void check_head(const bf16* got, i32 row, i32 from, const DeviceArray<f32>& norm, const std::string& what) {
        double x[DIM], sum = 0;
        for (i32 i = 0; i < DIM; i++) {
            x[i] = as_double(projected.at(row, from + i));
            sum += x[i] * x[i];
        }
        double scale = 1 / std::sqrt(sum / DIM + static_cast<double>(EPS));
        for (i32 i = 0; i < DIM; i++) x[i] *= scale * (1 + as_double(norm[static_cast<size_t>(i)]));
        i32 pairs = shape.rotary / 2;
        for (i32 i = 0; i < DIM; i++) {
            double y = x[i], error = 12.5 * FP32 * std::abs(y);
            if (i < shape.rotary) {
                i32 j = i % pairs;
                double cosine = as_double(rotations.at(row, j)), sine = as_double(rotations.at(row, pairs + j));
                double other = i < pairs ? -x[i + pairs] : x[i - pairs];
                y = x[i] * cosine + other * sine;
                error = 14.5 * FP32 * (std::abs(x[i] * cosine) + std::abs(other * sine));
            }
            check_rounded(got[i], y, 2 * error, what + ", channel " + std::to_string(i));
        }
    }

    /// Checks rows [from, to) and returns the first elements of their vectors in the cache.
    std::set<size_t> check_rows(i32 from, i32 to) {
        std::set<size_t> written;
        for (i32 s = 0; s < static_cast<i32>(sequences.size()); s++) {
            const TestSequence& sequence = sequences[static_cast<size_t>(s)];
            for (i32 t = 0; t < sequence.rows; t++) {
                i32 row = step.row_start(s) + t;
                if (row < from || row >= to) continue;
                for (i32 h = 0; h < shape.heads; h++)
                    check_head(&q.at(row, h * DIM), row, 2 * h * DIM, query_norm, at("query", row, h));
                i32 position = sequence.past + t;
                i32 page = sequence.pages[static_cast<size_t>(position / shape.page_size)];
                if (page < 0) continue;
                for (i32 g = 0; g < shape.kv_heads; g++) {
                    size_t first = place(page, position % shape.page_size, g);
                    written.insert(first);
                    check_head(&keys[first], row, (2 * shape.heads + g) * DIM, key_norm, at("key", row, g));
                    for (i32 i = 0; i < DIM; i++)
                        check_equal(values[first + static_cast<size_t>(i)].bits,
                                    projected.at(row, (2 * shape.heads + shape.kv_heads + g) * DIM + i).bits, at("value", row, g));
                }
            }
        }
        q.check_untouched_outside(from, to);
        return written;
    }

    /// That, and that the cache was written nowhere else.
    void check(i32 from, i32 to) {
        std::set<size_t> written = check_rows(from, to);
        for (size_t first = 0; first < cache_size(); first += DIM) {
            if (written.count(first) != 0) continue;
            for (size_t i = first; i < first + DIM; i++) CHECK(keys.is_untouched(i) && values.is_untouched(i));
        }
    }

    static std::string at(const char* what, i32 row, i32 head) {
        return std::string(what) + " of row " + std::to_string(row) + ", head " + std::to_string(head);
    }

    Shape shape;
    std::vector<TestSequence> sequences;
    StepBlock step;
    i32 rows, pages;
    TestMatrix<bf16> projected, q;
    TestMatrix<f32> rotations;
    DeviceArray<f32> query_norm, key_norm;
    DeviceArray<bf16> keys, values;
};

/// Two decoding sequences, an empty one, and two that cross pages; pages in no order, one of them absent.
std::vector<TestSequence> batch(i32 page_size) {
    return {{1, 0, -1, {6}},
            {1, 2 * page_size - 1, -1, {1, 9}},
            {0, page_size, -1, {0}},
            {page_size + 2, page_size - 1, -1, {4, 8, 2}},
            {page_size + 1, 0, -1, {-1, 5}}};
}

}  // namespace

TEST(store_kv_of_every_shape) {
    for_all_schedules([](const Schedule&) {
        for (Shape shape : {Shape{1, 1, 64, 4}, {4, 2, 64, 3}, {8, 2, 64, 2}, {6, 1, 36, 1}, {3, 3, 2, 4}, {5, 1, 250, 4}, {2, 1, 256, 4},
                            {2, 1, 0, 4}, {24, 4, 64, 2}}) {
            Layer layer(shape, 10, batch(shape.page_size));
            layer.run({0, 0, layer.rows});
            layer.check(0, layer.rows);
        }
    });
}

TEST(store_kv_of_pages_of_32) {
    for_all_schedules([](const Schedule&) {
        Layer layer({2, 1, 64, 32}, 10, batch(32));
        layer.run({0, 0, layer.rows});
        layer.check(0, layer.rows);
    });
}

TEST(store_kv_works_on_live_rows_only) {
    for_all_schedules([](const Schedule&) {
        Layer layer({4, 2, 64, 4}, 10, batch(4));
        layer.step.step().outputs = 7;
        for (i32 r : {0, 7, 8}) layer.projected.poison_row(r);
        layer.run(layer.step.live_rows(layer.step.step().outputs, 1, layer.rows));
        layer.check(1, 7);
    });
}

TEST(store_kv_of_zeros_and_of_large_heads) {
    for_all_schedules([](const Schedule&) {
        Layer layer({2, 1, 64, 4}, 10, batch(4));
        for (i32 i = 0; i < DIM; i++) {
            layer.projected.at(0, i) = to_bf16(0);
            layer.projected.at(1, i) = to_bf16(1e15f * static_cast<f32>(i - 100));
            layer.projected.at(2, i) = to_bf16(1e-5f * static_cast<f32>(i % 7));
        }
        layer.run({0, 0, layer.rows});
        layer.check(0, layer.rows);
    });
}

TEST(store_kv_stops_at_a_position_without_a_page_table_entry) {
    Layer layer({2, 1, 64, 4}, 10, {{2, 7, -1, {3, 1}}});  // position 8 needs a third entry
    Rows all{0, 0, 2};
    StoreKvArgs args = layer.args(all);
    std::string violation = launch_violation(KERNEL_OF(store_kv), layer.grid(all), 256, sizeof(StoreKvShared), &args, sizeof args);
    CHECK(violation.find("stopped itself") != std::string::npos);
}

TEST(store_kv_gives_a_row_the_same_bits_alone_and_in_company) {
    for_all_schedules([](const Schedule&) {
        Layer all({4, 2, 64, 4}, 10, batch(4)), one({4, 2, 64, 4}, 10, batch(4));
        all.run({0, 0, all.rows});
        one.run({0, 4, 5});
        one.check(4, 5);
        for (i32 c = 0; c < all.q.cols(); c++) check_equal(one.q.at(4, c).bits, all.q.at(4, c).bits, "column " + std::to_string(c));
        for (size_t i = 0; i < one.cache_size(); i++) {
            if (!one.keys.is_untouched(i)) check_equal(one.keys[i].bits, all.keys[i].bits, "key element " + std::to_string(i));
        }
    });
}

/// A page has 2¹⁵ elements, so from page 2¹⁶ on no index fits 32 bits. Only what is touched of so large a cache costs memory.
TEST(store_kv_of_a_cache_beyond_32_bits) {
    constexpr i32 FAR = 1 << 16;
    Layer layer({4, 4, 64, 32}, FAR + 3, {{1, 0, -1, {FAR + 2}}, {34, 31, -1, {2, FAR, 1}}});
    layer.run({0, 0, layer.rows});
    layer.check_rows(0, layer.rows);
}
