// gemm: the three tile shapes and all results against fp64, sizes around the tile edges, live rows fewer than the launch has room
// for, and the promise that a row's bits depend neither on the other rows nor on the tile shape. Also the orders of columns
// that the main loop is built on: complete, and free of bank conflicts.
#include "products.hpp"

#include "../../cuda-kernels/gemm.cu"

#include <array>
#include <set>

namespace {

struct Form {
    i32 rows, cols;  // of a tile
    i32 threads;
    size_t shared;
    const brantas::emulator::Entry* entry;
};

/// The kernels that leave sums in the same way, by tile.
#define FORMS_OF(result)                                                                                           \
    {{                                                                                                             \
        {64, 64, GEMM_THREADS, sizeof(GemmSmall<NeighbourColumns>::Shared), &KERNEL_OF(gemm_##result##_64)},       \
        {128, 128, GEMM_THREADS, sizeof(GemmLarge<NeighbourColumns>::Shared), &KERNEL_OF(gemm_##result##_128)},    \
        {128, 256, GEMM_WIDE_THREADS, sizeof(GemmWide<NeighbourColumns>::Shared), &KERNEL_OF(gemm_##result##_256)} \
    }}
using Forms = std::array<Form, 3>;

struct Shape {
    i32 from, to, live;  // live −1: no live count
    i32 outputs, cols;
};

struct Problem {
    Shape shape;
    HostMatrix x, weight, residual;
    std::vector<std::vector<Sum>> sums;  // of the live rows

    Problem(Shape s, Random& random)
        : shape(s), x(s.to + 1, s.cols, random, 1, 8),
          weight(s.outputs, s.cols, random, 1 / std::sqrt(static_cast<double>(s.cols))),
          residual(x.rows, s.outputs, random, 3) {
        for (i32 r = 0; r < x.rows; r++) {
            if (r < s.from || r >= end()) x.poison(r);
        }
        for (i32 r = s.from; r < end(); r++) {
            sums.emplace_back();
            for (i32 o = 0; o < s.outputs; o++) sums.back().push_back(dot(&x.at(r, 0), &weight.at(o, 0), s.cols));
        }
    }
    i32 end() const { return shape.live < 0 ? shape.to : std::min(shape.to, shape.live); }
    const Sum& sum(i32 row, i32 output) const {
        return sums[static_cast<size_t>(row - shape.from)][static_cast<size_t>(output)];
    }

    /// Launches on rows [from, to).
    template <class T>
    void run(const Form& form, DeviceArray<T>& dst, i32 dst_stride, i32 from, i32 to) const {
        DeviceArray<bf16> device_x(x.values, "x"), device_weight(weight.values, "weight");
        DeviceArray<i32> live(1, "live");
        live[0] = shape.live;
        const GemmArgs args = {dst.address(), device_x.address(), device_weight.address(),
                               {shape.live < 0 ? 0 : live.address(), from, to},
                               dst_stride, x.stride, weight.stride, rounded_up(shape.cols, 8), shape.outputs, 0};
        const i32 blocks = (to - from + form.rows - 1) / form.rows * ((shape.outputs + form.cols - 1) / form.cols);
        launch(*form.entry, {blocks}, form.threads, static_cast<i64>(form.shared), args);
    }

    /// Two of the tile shapes on copies of `start`, and the third on the last row alone; the bits are equal, nothing is
    /// written but `cols` columns of the live rows, and expected(row, col) is met. Which they are changes from call to call:
    /// under a schedule every pair has its turn.
    template <class T>
    void check(const Forms& forms, i32 call, const std::vector<T>& start, i32 stride, Errors& errors, auto expected,
               i32 cols) const {
        const auto form = [&](i32 at) { return forms[static_cast<size_t>((call + at) % 3)]; };
        DeviceArray<T> dst(start, "dst"), other(start, "dst");
        run(form(0), dst, stride, shape.from, shape.to);
        run(form(1), other, stride, shape.from, shape.to);
        for (i32 r = 0; r < x.rows; r++) {
            for (i32 c = 0; c < stride; c++) {
                const auto at = static_cast<size_t>(r * stride + c);
                CHECK(same_bits(dst[at], other[at]));
                if (r >= shape.from && r < end() && c < cols) errors.check(dst[at], expected(r, c));
                else CHECK(same_bits(dst[at], start[at]));
            }
        }
        if (end() <= shape.from) return;
        DeviceArray<T> alone(start, "dst");
        run(form(2), alone, stride, end() - 1, end());
        for (i32 c = 0; c < cols; c++) {
            const auto at = static_cast<size_t>((end() - 1) * stride + c);
            CHECK(same_bits(alone[at], dst[at]));
        }
    }
};

const Shape SHAPES[] = {
    {0, 1, -1, 1, 5},      {0, 15, -1, 7, 16},    {1, 17, -1, 8, 31},     {0, 17, -1, 9, 32},     {0, 63, -1, 33, 33},
    {0, 64, -1, 64, 64},   {0, 65, -1, 65, 96},   {2, 130, 128, 127, 97}, {0, 128, -1, 128, 129}, {0, 129, 70, 257, 128},
    {0, 40, 0, 20, 24},    {0, 66, 3, 290, 260},
};

template <class T>
std::vector<T> poisoned(const Problem& p, i32 stride) {
    std::vector<T> values(static_cast<size_t>(p.x.rows * stride));
    std::memset(static_cast<void*>(values.data()), 0xff, values.size() * sizeof(T));
    return values;
}

/// Eight rows of 64 bytes are read at a time, 16 bytes of each: no two may lie in the same four banks.
template <class Row, class Swizzle>
void check_banks(Row row, Swizzle swizzle) {
    for (i32 piece = 0; piece < TILE_PIECES; piece++) {
        std::set<i32> banks;
        for (i32 i = 0; i < 8; i++) banks.insert((row(i) * TILE_PIECES + (piece ^ swizzle(row(i)))) % 8);
        check_equal(banks.size(), size_t{8}, "groups of banks");
    }
}

template <class Columns>
void check_columns() {
    std::set<i32> rows;
    for (i32 tile = 0; tile < 4; tile++) {
        check_banks([&](i32 c) { return Columns::weight_row(tile, c); }, Columns::swizzle);
        for (i32 c = 0; c < 8; c++) rows.insert(Columns::weight_row(tile, c));
    }
    check_equal(rows.size(), size_t{32}, "weight rows");
    check_equal(*rows.rbegin(), 31, "the last of them");
}

}  // namespace

TEST(columns_are_complete_and_free_of_bank_conflicts) {
    check_columns<NeighbourColumns>();
    check_columns<GatedColumns>();
    check_banks([](i32 i) { return i; }, [](i32 row) { return row >> 1 & 3; });
    for (i32 tile = 0; tile < 4; tile += 2) {
        for (i32 c = 0; c < 8; c++) {
            const i32 gate = GatedColumns::weight_row(tile, c);
            check_equal(GatedColumns::weight_row(tile + 1, c), gate + 8, "up row of a gate row");
            check_equal(gate / 8 % 2, 0, "odd group of a gate row");
        }
    }
}

TEST(gemm_bf16_rounds_once) {
    Errors errors("gemm_bf16");
    Random random(1);
    i32 call = 0;
    for (const Shape& shape : SHAPES) {
        const Problem p(shape, random);
        const i32 stride = rounded_up(shape.outputs, 8);
        for_all_schedules([&](const Schedule&) {
            p.check(FORMS_OF(bf16), call++, poisoned<bf16>(p, stride), stride, errors,
                    [&](i32 r, i32 c) { return p.sum(r, c); }, p.shape.outputs);
        });
    }
}

TEST(gemm_add_rounds_the_sum_with_the_residual) {
    Errors errors("gemm_add");
    Random random(2);
    i32 call = 0;
    for (const Shape& shape : SHAPES) {
        const Problem p(shape, random);
        for_all_schedules([&](const Schedule&) {
            p.check(FORMS_OF(add), call++, p.residual.values, p.residual.stride, errors,
                    [&](i32 r, i32 c) {
                        const Sum s = p.sum(r, c);
                        const double y = as_double(p.residual.at(r, c)) + s.value;
                        return Sum{y, s.error + FP32 * std::fabs(y)};
                    }, shape.outputs);
        });
    }
}

TEST(gemm_f32_does_not_round) {
    Errors errors("gemm_f32");
    Random random(3);
    i32 call = 0;
    for (const Shape& shape : SHAPES) {
        const Problem p(shape, random);
        const i32 stride = rounded_up(shape.outputs, 4);
        for_all_schedules([&](const Schedule&) {
            p.check(FORMS_OF(f32), call++, poisoned<f32>(p, stride), stride, errors,
                    [&](i32 r, i32 c) { return p.sum(r, c); }, p.shape.outputs);
        });
    }
}

TEST(gemm_swiglu_takes_groups_of_gate_and_up) {
    Errors errors("gemm_swiglu");
    Random random(5);
    i32 call = 0;
    for (Shape shape : SHAPES) {
        shape.outputs = rounded_up(shape.outputs, 16);
        const Problem p(shape, random);
        const i32 cols = shape.outputs / 2, stride = cols + 8;
        for_all_schedules([&](const Schedule&) {
            const auto expected = [&](i32 r, i32 c) {
                const i32 gate = c / 8 * 16 + c % 8;
                return swiglu(p.sum(r, gate), p.sum(r, gate + 8));
            };
            p.check(FORMS_OF(swiglu), call++, poisoned<bf16>(p, stride), stride, errors, expected, cols);
        });
    }
}

/// More than one band of row tiles, the last one not full, and several tiles of outputs.
TEST(bands_cover_everything) {
    Errors errors("gemm_bf16 in bands");
    Random random(4);
    const Problem p({0, 64 * GEMM_BAND * 2 + 65, -1, 258, 8}, random);
    const i32 stride = rounded_up(258, 8);
    for (i32 call = 0; call < 3; call += 2) {
        p.check(FORMS_OF(bf16), call, poisoned<bf16>(p, stride), stride, errors,
                [&](i32 r, i32 c) { return p.sum(r, c); }, p.shape.outputs);
    }
}

TEST(gemm_of_rows_beyond_32_bits) {
    Random random(6);
    const Problem p({0, 6, -1, 6, 40}, random);
    const FarMatrix x(p.x), weight(p.weight);
    DeviceArray<f32> near(poisoned<f32>(p, 8), "near"), dst(size_t{6} * FarMatrix::STRIDE, "dst");
    const Forms forms = FORMS_OF(f32);
    p.run(forms[0], near, 8, 0, 6);
    launch(KERNEL_OF(gemm_f32_64), {1}, GEMM_THREADS, 32768,
           GemmArgs{dst.address(), x.address(), weight.address(), {0, 0, 6}, FarMatrix::STRIDE, FarMatrix::STRIDE, FarMatrix::STRIDE,
                    40, 6, 0});
    for (size_t r = 0; r < 6; r++)
        for (size_t c = 0; c < 6; c++) CHECK(same_bits(dst[r * FarMatrix::STRIDE + c], near[r * 8 + c]));
}
