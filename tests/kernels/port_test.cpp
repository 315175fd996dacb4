// The functions of port.cuh on the emulated device: fragments and tiles against their definition in the PTX ISA, shuffles,
// votes, atomics, 16-bit formats over their whole range, and the arithmetic. Also that schedules differ and that memory
// begins as not-a-number.
#include "common/arrival.cuh"
#include "harness.hpp"

#include <set>

namespace {

struct PortArgs {
    u64 dst;
    u64 src;
    i32 count;
    i32 padding;
};

struct Tiles {
    u16 at[4][8][8];
};

}  // namespace

/// One warp: for each of 16 k-steps' worth of given fragments, d = a · b in both formats.
KERNEL(multiply, PortArgs, 32) {
    wait_for_predecessors();
    const u16* a = reinterpret_cast<const u16*>(args.src);  // [16, 16]
    const u16* b = a + 256;                                 // [8, 16], that is b transposed
    f32* dst = reinterpret_cast<f32*>(args.dst);            // [2, 16, 8]
    i32 group = lane_id() / 4, pair = lane_id() % 4 * 2;
    auto two = [](const u16* at) { return static_cast<u32>(at[0]) | static_cast<u32>(at[1]) << 16; };
    u32 fragment[4] = {two(a + group * 16 + pair), two(a + (group + 8) * 16 + pair), two(a + group * 16 + pair + 8),
                       two(a + (group + 8) * 16 + pair + 8)};
    u32 b0 = two(b + group * 16 + pair), b1 = two(b + group * 16 + pair + 8);
    for (i32 format = 0; format < 2; format++) {
        f32 d[4] = {1, 2, 3, 4};
        if (format == 0) {
            mma_bf16(d, fragment, b0, b1);
        } else {
            mma_f16(d, fragment, b0, b1);
        }
        for (i32 i = 0; i < 4; i++) dst[format * 128 + (group + i / 2 * 8) * 8 + pair + i % 2] = d[i];
    }
}

/// One warp: what lanes get of four tiles, of these transposed, and of a tile transposed in registers.
KERNEL(tiles, PortArgs, 32) {
    wait_for_predecessors();
    Tiles& tiles = shared_memory<Tiles>();
    i32 lane = lane_id();
    for (i32 i = lane; i < 256; i += WARP) tiles.at[i / 64][i / 8 % 8][i % 8] = static_cast<u16>(i * 7 + 1);
    warp_sync();
    u32 plain[4], turned[4];
    load_tiles(plain, tiles.at[lane / 8][lane % 8]);
    load_tiles_transposed(turned, tiles.at[lane / 8][lane % 8]);
    u32* dst = reinterpret_cast<u32*>(args.dst);  // [3, 4, 32]
    for (i32 i = 0; i < 4; i++) {
        dst[i * 32 + lane] = plain[i];
        dst[128 + i * 32 + lane] = turned[i];
        dst[256 + i * 32 + lane] = transpose_tile(plain[i]);
    }
}

/// Two warps: [what, thread].
KERNEL(lanes, PortArgs, 64) {
    wait_for_predecessors();
    i64* dst = reinterpret_cast<i64*>(args.dst);
    i32 me = static_cast<i32>(threadIdx.x);
    dst[me] = shuffle(me * 10, 40);  // 40 means lane 8
    dst[64 + me] = shuffle_xor(me * 10, 5);
    dst[128 + me] = shuffle_up(me * 10, 3);
    dst[192 + me] = vote(me % 3 == 0);
    dst[256 + me] = shuffle(static_cast<i64>(me) << 40, 31);
    dst[320 + me] = static_cast<i64>(warp_sum(static_cast<f32>(me)));
    dst[384 + me] = static_cast<i64>(warp_max(static_cast<f32>(100 - me)));
}

/// All threads of all blocks: [sum, sum, largest, bits, sum], and one word of shared memory.
KERNEL(atomics, PortArgs, 128) {
    wait_for_predecessors();
    u64* dst = reinterpret_cast<u64*>(args.dst);
    i32& counter = *reinterpret_cast<i32*>(shared_bytes(4));
    u32 me = blockIdx.x * 128 + threadIdx.x;
    if (threadIdx.x == 0) counter = 0;
    block_sync();
    atomic_add(&counter, 1);
    atomic_add(&dst[0], static_cast<u64>(me));
    atomic_add(reinterpret_cast<u32*>(&dst[1]), 3u);
    atomic_max(&dst[2], static_cast<u64>(me) << 33);
    atomic_or(reinterpret_cast<u32*>(&dst[3]), 1u << me % 32);
    block_sync();
    if (threadIdx.x == 0) atomic_add(&dst[4], static_cast<u64>(counter));
}

/// Every block leaves a number a thread at src; the last to arrive at dst[0] adds all up in dst[1].
KERNEL(arrivals, PortArgs, 128) {
    wait_for_predecessors();
    u32* dst = reinterpret_cast<u32*>(args.dst);
    u32* left = reinterpret_cast<u32*>(args.src);
    u32& word = *reinterpret_cast<u32*>(shared_bytes(4));
    left[blockIdx.x * 128 + threadIdx.x] = blockIdx.x * 128 + threadIdx.x;
    if (!last_to_arrive(dst, gridDim.x, word)) return;
    u32 sum = 0;
    for (u32 block = 0; block < gridDim.x; block++) sum += left[block * 128 + 127 - threadIdx.x];
    atomic_add(dst + 1, sum);
}

/// The order in which the threads of a block come by.
KERNEL(order, PortArgs, 128) {
    wait_for_predecessors();
    i32* dst = reinterpret_cast<i32*>(args.dst);
    i32 turn = atomic_add(dst + 128, 1);
    if (turn < 128) dst[turn] = static_cast<i32>(blockIdx.x * 128 + threadIdx.x);
}

/// What shared memory and dst begin with.
KERNEL(garbage, PortArgs, 32) {
    wait_for_predecessors();
    const f32* shared = reinterpret_cast<const f32*>(shared_bytes(128));
    f32* dst = reinterpret_cast<f32*>(args.dst);
    dst[32 + threadIdx.x] = shared[threadIdx.x] + dst[threadIdx.x];
}

TEST(matrix_products_follow_the_fragment_layouts) {
    for_all_schedules([](const Schedule&) {
        Random random(1);
        for (bool half : {false, true}) {
            DeviceArray<u16> src(256 + 128);
            DeviceArray<f32> dst(256);
            for (u16& v : src.span()) {
                auto value = static_cast<f32>(random.normal());
                v = half ? to_f16(value) : to_bf16(value).bits;
            }
            auto value = [&](size_t i) { return static_cast<double>(half ? from_f16(src[i]) : to_float(bf16{src[i]})); };
            launch(KERNEL_OF(multiply), 1, 32, 0, PortArgs{dst.address(), src.address(), 0, 0});
            for (size_t m = 0; m < 16; m++) {
                for (size_t n = 0; n < 8; n++) {
                    double sum = 1.0 + static_cast<double>(m / 8 * 2 + n % 2), size = std::abs(sum);
                    for (size_t k = 0; k < 16; k++) {
                        double product = value(m * 16 + k) * value(256 + n * 16 + k);
                        sum += product;
                        size += std::abs(product);
                    }
                    // Sixteen additions, each off by at most half a unit of a partial sum.
                    check_close(dst[(half ? 128 : 0) + m * 8 + n], sum, 16 * 0x1p-24 * size);
                }
            }
        }
    });
}

TEST(tiles_are_handed_out_as_the_isa_says) {
    for_all_schedules([](const Schedule&) {
        DeviceArray<u32> dst(384);
        launch(KERNEL_OF(tiles), 1, 32, sizeof(Tiles), PortArgs{dst.address(), 0, 0, 0});
        auto number = [](size_t tile, size_t row, size_t column) { return static_cast<u16>((tile * 64 + row * 8 + column) * 7 + 1); };
        for (size_t tile = 0; tile < 4; tile++) {
            for (size_t lane = 0; lane < 32; lane++) {
                size_t row = lane / 4, column = lane % 4 * 2;
                u32 plain = static_cast<u32>(number(tile, row, column)) | static_cast<u32>(number(tile, row, column + 1)) << 16;
                u32 turned = static_cast<u32>(number(tile, column, row)) | static_cast<u32>(number(tile, column + 1, row)) << 16;
                check_equal(dst[tile * 32 + lane], plain, "plain");
                check_equal(dst[128 + tile * 32 + lane], turned, "transposed");
                check_equal(dst[256 + tile * 32 + lane], turned, "transposed in registers");
            }
        }
    });
}

TEST(lanes_exchange_values) {
    for_all_schedules([](const Schedule&) {
        DeviceArray<i64> dst(448);
        launch(KERNEL_OF(lanes), 1, 64, 0, PortArgs{dst.address(), 0, 0, 0});
        for (size_t i = 0; i < 64; i++) {
            i64 me = static_cast<i64>(i), base = me / 32 * 32, lane = me % 32;
            check_equal(dst[i], (base + 8) * 10, "shuffle");
            check_equal(dst[64 + i], (base + (lane ^ 5)) * 10, "shuffle_xor");
            check_equal(dst[128 + i], (lane < 3 ? me : me - 3) * 10, "shuffle_up");
            i64 bits = 0;
            for (i64 l = 0; l < 32; l++) bits |= static_cast<i64>((base + l) % 3 == 0) << l;
            check_equal(dst[192 + i], bits, "vote");
            check_equal(dst[256 + i], (base + 31) << 40, "shuffle of 64 bits");
            check_equal(dst[320 + i], base * 32 + 496, "sum");
            check_equal(dst[384 + i], 100 - base, "largest");
        }
    });
}

TEST(atomics_of_all_blocks_add_up) {
    for_all_schedules([](const Schedule&) {
        DeviceArray<u64> dst(std::vector<u64>(5, 0));
        launch(KERNEL_OF(atomics), 40, 128, 4, PortArgs{dst.address(), 0, 0, 0});
        u64 threads = 40 * 128;
        check_equal(dst[0], threads * (threads - 1) / 2);
        check_equal(dst[1], threads * 3);
        check_equal(dst[2], (threads - 1) << 33);
        check_equal(dst[3], u64{0xffffffff});
        check_equal(dst[4], threads);
    });
}

TEST(the_last_block_to_arrive_sees_what_all_left) {
    for_all_schedules([](const Schedule&) {
        DeviceArray<u32> dst(std::vector<u32>(2, 0)), left(40 * 128);
        for (u32 round = 1; round <= 3; round++) {
            for (u32& v : left.span()) v = 0xffffffffu;
            launch(KERNEL_OF(arrivals), 40, 128, 4, PortArgs{dst.address(), left.address(), 0, 0});
            check_equal(dst[0], 0u, "arrivals");
            check_equal(dst[1], round * (40 * 128 * (40 * 128 - 1) / 2), "sum");
        }
    });
}

TEST(schedules_run_threads_and_blocks_in_different_orders) {
    std::set<std::vector<i32>> orders;
    for_all_schedules([&](const Schedule& schedule) {
        if (schedule.settings.workers > 1) return;  // their blocks come in no certain order
        DeviceArray<i32> dst(std::vector<i32>(129, 0));
        launch(KERNEL_OF(order), 3, 128, 0, PortArgs{dst.address(), 0, 0, 0});
        std::vector<i32> order = dst.values();
        order.pop_back();
        orders.insert(order);
    });
#if defined(__SANITIZE_ADDRESS__) || defined(BRANTAS_TSAN)
    check_equal(orders.size(), size_t{2});
#else
    check_equal(orders.size(), size_t{3});
#endif
}

TEST(memory_begins_as_not_a_number) {
    DeviceArray<f32> dst(64);
    for (size_t i = 0; i < 64; i++) CHECK(dst.is_untouched(i));
    launch(KERNEL_OF(garbage), 1, 32, 128, PortArgs{dst.address(), 0, 0, 0});
    for (size_t i = 0; i < 32; i++) CHECK(dst.is_untouched(i) && std::isnan(dst[32 + i]));
}

TEST(fp16_rounds_to_the_nearest_and_comes_back) {
    for (u32 bits = 0; bits < 0x10000; bits++) {
        f32 value = from_f16(static_cast<u16>(bits));
        bool nan = (bits & 0x7fff) > 0x7c00;
        CHECK(nan == std::isnan(value));
        if (nan) {
            CHECK(std::isnan(from_f16(to_f16(value))));
            continue;
        }
        check_equal(to_f16(value), bits, "a value that fp16 has");
        if ((bits & 0x7fff) >= 0x7bff) continue;
        // Between a value and the next of larger magnitude: below the middle, the middle (to even), above it.
        f32 next = from_f16(static_cast<u16>(bits + 1));
        f32 middle = value + (next - value) / 2;
        check_equal(to_f16(std::nextafter(middle, value)), bits, "below the middle");
        check_equal(to_f16(middle), bits + (bits & 1), "the middle");
        check_equal(to_f16(std::nextafter(middle, next)), bits + 1, "above the middle");
    }
    check_equal(to_f16(65519.996f), 0x7bff);
    check_equal(to_f16(65520.0f), 0x7c00);
    check_equal(to_f16(-1e30f), 0xfc00);
    check_equal(pack_f16(1.0f, -2.0f), 0xc0003c00u);
    CHECK(unpack_f16(0xc0003c00u).x == 1.0f && unpack_f16(0xc0003c00u).y == -2.0f);
}

TEST(bf16_rounds_to_the_nearest_and_comes_back) {
    for (u32 bits = 0; bits < 0x10000; bits++) {
        f32 value = to_float(bf16{static_cast<u16>(bits)});
        if (std::isnan(value)) {
            CHECK(std::isnan(to_float(to_bf16(value))));
            continue;
        }
        check_equal(to_bf16(value).bits, bits, "a value that bf16 has");
        if ((bits & 0x7fff) == 0x7f80) continue;
        check_equal(to_bf16(bits_float(bits << 16 | 0x7fff)).bits, bits, "below the middle");
        check_equal(to_bf16(bits_float(bits << 16 | 0x8000)).bits, bits + (bits & 1), "the middle");
        check_equal(to_bf16(bits_float(bits << 16 | 0x8001)).bits, bits + 1, "above the middle");
    }
}

TEST(arithmetic_is_that_of_the_library) {
    Random random(2);
    for (i32 i = 0; i < 2000; i++) {
        auto x = static_cast<f32>(random.uniform(-20, 20));
        auto d = static_cast<double>(x);
        check_close(exponential(x), std::exp(d), std::exp(d) * 0x1p-22, "exponential");
        check_close(exponential2_fast(x), std::exp2(d), std::exp2(d) * 0x1p-22, "exponential2_fast");
        check_close(log_plus_one(std::abs(x)), std::log1p(std::abs(d)), std::log1p(std::abs(d)) * 0x1p-22, "log_plus_one");
        check_close(inverse_root(std::abs(x) + 1), 1 / std::sqrt(static_cast<double>(std::abs(x) + 1)), 0x1p-24, "inverse_root");
        check_close(sigmoid(x), 1 / (1 + std::exp(-d)), 0x1p-22, "sigmoid");
        check_close(softplus(x), x > 20 ? d : std::log1p(std::exp(d)), 20 * 0x1p-22, "softplus");
    }
    check_equal(exponential2_fast(-127.0f), 0.0f, "a result below the normal numbers");
    check_equal(exponential2_fast(-126.0f), 0x1p-126f, "the smallest normal number");
    check_equal(fma32(1 + 0x1p-23f, 1 - 0x1p-23f, -1.0f), -0x1p-46f, "fma32");
    check_equal(multiply_high(0xffffffffu, 0x80000001u), 0x80000000u, "multiply_high");
    check_equal(count_bits(0xf0f0u), 8);
    check_equal(leading_zeros(0x00ffffffu), 8);
}
