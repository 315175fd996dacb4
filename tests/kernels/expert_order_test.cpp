// Expert order against a stable sort: order, tiles and their number, for all skews (even, empty experts, all on one), sizes
// about the edges of warps, warps' parts and tiles, spans that do not begin at row 0, and fewer live rows than the launch has
// room for. What lies outside stays as it was.
#include <algorithm>
#include <memory>
#include <numeric>

#include "harness.hpp"

#include "../../cuda-kernels/expert_order.cu"

namespace {

struct Shape {
    i32 from, to, live;  // live −1: no live count
    i32 slots, experts, tile_rows;
    i32 end() const { return live < 0 ? to : std::min(to, live); }
    i32 rows() const { return std::max(0, end() - from); }
    i32 assignments() const { return (to - from) * slots; }
};

struct OrderTile {
    i32 expert, first, count, padding;
};

using Pick = std::function<i32(i32 row, i32 slot)>;

void check(const Shape& shape, const Pick& pick) {
    std::vector<i32> ids;
    for (i32 r = 0; r < shape.to; r++)
        for (i32 s = 0; s < shape.slots; s++) ids.push_back(r >= shape.from && r < shape.end() ? pick(r, s) : -12345);
    DeviceArray<i32> device_ids(ids, "ids"), count(1, "tile count"), live(1, "live");
    live[0] = shape.live;

    std::vector<i32> sorted(static_cast<size_t>(shape.rows() * shape.slots));
    std::iota(sorted.begin(), sorted.end(), 0);
    auto expert_of = [&](i32 a) { return ids[static_cast<size_t>(shape.from * shape.slots + a)]; };
    std::stable_sort(sorted.begin(), sorted.end(), [&](i32 a, i32 b) { return expert_of(a) < expert_of(b); });
    std::vector<OrderTile> expected;
    auto cut = [&](i32 expert, i32 first, i32 end) {
        for (i32 at = first; at < end; at += shape.tile_rows)
            expected.push_back({expert, at, std::min(shape.tile_rows, end - at), 0});
    };
    for (size_t at = 0; at < sorted.size();) {
        size_t end = at;
        while (end < sorted.size() && expert_of(sorted[end]) == expert_of(sorted[at])) end++;
        cut(expert_of(sorted[at]), static_cast<i32>(at), static_cast<i32>(end));
        at = end;
    }
    cut(shape.experts, shape.assignments(), shape.assignments() + shape.rows());

    DeviceArray<i32> order(static_cast<size_t>(shape.assignments() + shape.to - shape.from), "order");
    DeviceArray<OrderTile> tiles(expected.size() + 1, "tiles");
    const ExpertOrderArgs args = {order.address(), tiles.address(), count.address(), device_ids.address(),
                                  {shape.live < 0 ? 0 : live.address(), shape.from, shape.to},
                                  shape.slots, shape.experts, shape.tile_rows, 0};
    launch(KERNEL_OF(expert_order), {1}, ORDER_THREADS, sizeof(ExpertOrderShared), args);

    check_equal(count[0], static_cast<i32>(expected.size()), "tiles");
    for (size_t t = 0; t < expected.size(); t++) {
        check_equal(tiles[t].expert, expected[t].expert, "expert of tile " + std::to_string(t));
        check_equal(tiles[t].first, expected[t].first, "first position of tile " + std::to_string(t));
        check_equal(tiles[t].count, expected[t].count, "positions of tile " + std::to_string(t));
        check_equal(tiles[t].padding, 0, "padding");
    }
    CHECK(tiles.is_untouched(expected.size()));
    for (i32 p = 0; p < shape.assignments() + shape.to - shape.from; p++) {
        const size_t at = static_cast<size_t>(p);
        if (at < sorted.size()) check_equal(order[at], sorted[at], "position " + std::to_string(p));
        else if (p >= shape.assignments() && p < shape.assignments() + shape.rows()) check_equal(order[at], p);
        else CHECK(order.is_untouched(at));
    }
}

/// Distinct experts a row, as the router gives them.
Pick distinct(Random& random, i32 experts, i32 slots, double skew) {
    auto last = std::make_shared<std::vector<i32>>();
    return [=, &random](i32, i32 slot) {
        if (slot == 0) last->clear();
        CHECK(slots <= experts);
        while (true) {
            const i32 id = std::min(experts - 1, static_cast<i32>(experts * std::pow(random.unit(), skew)));
            if (std::find(last->begin(), last->end(), id) != last->end()) continue;
            last->push_back(id);
            return id;
        }
    };
}

}  // namespace

TEST(expert_order_random_choices) {
    for_all_schedules([](const Schedule&) {
        Random random(1);
        for (Shape shape : {Shape{0, 1, -1, 8, 256, 16}, {0, 1, -1, 1, 1, 16}, {0, 3, -1, 10, 512, 16}, {0, 31, -1, 1, 7, 16},
                            {0, 32, -1, 4, 16, 32}, {0, 33, -1, 4, 60, 64}, {5, 69, -1, 8, 128, 16}, {0, 65, -1, 8, 511, 128},
                            {7, 300, -1, 10, 512, 16}, {0, 513, -1, 3, 33, 64}}) {
            for (double skew : {1.0, 4.0}) check(shape, distinct(random, shape.experts, shape.slots, skew));
        }
    });
}

TEST(expert_order_skews) {
    for_all_schedules([](const Schedule&) {
        for (i32 tile_rows : {16, 32, 64, 128}) {
            const Shape shape = {2, 130, -1, 4, 40, tile_rows};
            check(shape, [](i32, i32) { return 0; });
            check(shape, [](i32, i32) { return 39; });
            check(shape, [](i32 row, i32 slot) { return row % 2 ? 39 - slot : slot; });
            check(shape, [](i32 row, i32 slot) { return (row * 4 + slot) % 40; });
        }
    });
}

TEST(expert_order_edges_of_tiles) {
    for_all_schedules([](const Schedule&) {
        for (i32 rows : {15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129})
            check({0, rows, -1, 2, 3, rows < 40 ? 16 : 64}, [](i32, i32 slot) { return slot * 2; });
    });
}

TEST(expert_order_live_rows_only) {
    for_all_schedules([](const Schedule&) {
        Random random(2);
        for (i32 live : {0, 2, 3, 4, 20, 64, 100}) check({3, 64, live, 6, 50, 16}, distinct(random, 50, 6, 2));
        check({0, 0, -1, 6, 50, 16}, [](i32, i32) { return 0; });
    });
}

TEST(expert_order_full_size) {
    Random random(3);
    check({0, 4096, -1, 10, 512, 128}, distinct(random, 512, 10, 1.5));
    check({0, 4096, -1, 10, 512, 16}, [](i32, i32) { return 77; });
    check({100, 1100, -1, 8, 256, 64}, distinct(random, 256, 8, 1));
}

TEST(expert_order_stops_at_an_unknown_expert) {
    DeviceArray<i32> ids(std::vector<i32>{1, 8}, "ids"), order(3, "order"), count(1, "tile count");
    DeviceArray<OrderTile> tiles(3, "tiles");
    const ExpertOrderArgs args = {order.address(), tiles.address(), count.address(), ids.address(), {0, 0, 1}, 2, 8, 16, 0};
    const std::string violation =
        launch_violation(KERNEL_OF(expert_order), {1}, ORDER_THREADS, sizeof(ExpertOrderShared), &args, sizeof args);
    CHECK(violation.find("stopped itself") != std::string::npos);
}
