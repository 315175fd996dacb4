// Sampling against the host's sampler, draw by draw (sampling.hpp): all filters and their combinations, ties everywhere, ids
// without a token, penalties, rows that need no list, one, or the narrowing of the whole row, and logits that are infinite or
// not numbers. And against itself: frequencies follow the distribution, and a row's token depends on nothing but the row.
#include "sampling.hpp"

namespace {

/// The sanitizers judge by other means than results and take a second a draw, so they get few.
#if defined(__SANITIZE_ADDRESS__) || defined(BRANTAS_TSAN)
constexpr i32 MANY = 2;
#else
constexpr i32 MANY = 100;
#endif

/// Logits of many kinds, among them few values that tie in masses.
f32 any_logit(Random& random, i64 kind) {
    const double normal = random.normal();
    switch (kind) {
        case 0: return static_cast<f32>(3 * normal);
        case 1: return static_cast<f32>(std::round(2 * normal) / 2);
        case 2: return static_cast<f32>(20 + 0.01 * normal);
        case 3: return rounded_to_bf16(static_cast<f32>(6 * normal));
        case 4: return random.unit() < 0.001 ? 30.0f : static_cast<f32>(normal - 40);
        default: return random.unit() < 0.5 ? -INFINITY : static_cast<f32>(normal);
    }
}

template <class T>
T any_of(Random& random, std::initializer_list<T> values) {
    return values.begin()[random.integer(0, static_cast<i64>(values.size()) - 1)];
}

Draw any_draw(Random& random, bool penalties) {
    Draw draw = greedy();
    draw.seed = random.bits();
    draw.position = any_of<u64>(random, {0, 1, 77, 300000, 1ull << 33 | 5});
    draw.temperature = any_of(random, {0.0f, 0.1f, 0.6f, 0.7f, 1.0f, 1.5f, 20.0f});
    draw.top_k = any_of(random, {0, 0, 1, 2, 20, 50, 300, 959, 960, 961, 1500, 3000, 1 << 20});
    draw.top_p = any_of(random, {1.0f, 1.0f, 0.95f, 0.9f, 0.5f, 0.999f, 1e-6f});
    draw.min_p = any_of(random, {0.0f, 0.0f, 0.0f, 0.05f, 0.3f, 1.0f});
    if (penalties && random.unit() < 0.7) {
        draw.slot = static_cast<i32>(random.integer(0, 1));
        draw.presence_penalty = any_of(random, {0.0f, 1.5f, -0.3f});
        draw.frequency_penalty = any_of(random, {0.0f, 0.25f, -0.1f});
        draw.repetition_penalty = any_of(random, {1.0f, 1.05f, 1.3f, 0.8f});
    }
    return draw;
}

std::vector<u32> any_counts(Random& random, i32 vocabulary) {
    std::vector<u32> counts(static_cast<size_t>(vocabulary), 0);
    for (u32& c : counts) {
        if (random.unit() < 0.8) continue;
        c = (random.unit() < 0.5 ? SEEN_IN_PROMPT : 0) | static_cast<u32>(random.integer(0, 4));
    }
    return counts;
}

/// Rows of any kind and any draw; returns how many came too near a boundary to be compared.
i32 check_any(i32 rows, i32 vocabulary, u64 stream) {
    Random random(stream);
    SampleRun run(rows, vocabulary);
    for (i32 r = 0; r < rows; r++) {
        const i64 kind = random.integer(0, 5);
        for (i32 id = 0; id < vocabulary; id++) run.logits.at(r, id) = any_logit(random, kind);
        run.logits.at(r, static_cast<i32>(random.integer(0, vocabulary / 2))) = 1;  // an allowed one is finite
        run.step.draw(r) = any_draw(random, true);
    }
    run.count(any_counts(random, vocabulary));
    run.count(any_counts(random, vocabulary));
    run.forbid_from(vocabulary - vocabulary / 20);
    for (i32 i = 0; i < vocabulary / 50; i++) run.forbid(static_cast<i32>(random.integer(vocabulary / 2 + 1, vocabulary - 1)));
    check_equal(run.run(), 0u, "error word");
    return run.check();
}

}  // namespace

TEST(sample_numbers_are_those_of_the_paper_and_the_host) {
    CHECK(philox_fraction(0, 0) == 0x6627e8d5e169c58dull >> 11 << 11);
    Random random(1);
    for (i32 i = 0; i < 1000; i++) {
        const u64 seed = random.bits(), position = random.bits() >> random.integer(0, 63);
        const u64 fraction = philox_fraction(seed, position), value = random.bits() >> random.integer(0, 63);
        CHECK(static_cast<double>(fraction >> 11) * 0x1p-53 == HostSampler::uniform(seed, position));
        CHECK(part_of(fraction, value) == static_cast<u64>(static_cast<unsigned __int128>(fraction) * value >> 64));
    }
}

TEST(sample_any_draw_on_all_schedules) {
    for_all_schedules([](const Schedule&) {
        check_any(12, 512, 2);
        check_any(6, 5003, 3);
    });
}

TEST(sample_thousands_of_draws) {
    i32 near = 0, draws = 0;
    auto add = [&](i32 rows, i32 vocabulary, u64 stream) {
        near += check_any(rows, vocabulary, stream);
        draws += rows;
    };
    for (u64 i = 0; i < 10; i++) add(MANY, 512, 100 + i);
    for (u64 i = 0; i < 6; i++) add(MANY, 2048, 200 + i);
    for (u64 i = 0; i < 4; i++) add(MANY, 9001, 300 + i);
    for (i32 vocabulary : {1, 2, 3, 31, 32, 33, 100, 1023, 4095, 4096, 4097})
        add((MANY + 9) / 10, vocabulary, 400 + static_cast<u64>(vocabulary));
    add(2, 248320, 500);
    std::printf("    %d of %d draws lie too near a boundary to be compared\n", near, draws);
    CHECK(near * 50 <= draws);
}

TEST(sample_real_vocabulary) {
    constexpr i32 VOCABULARY = 248320;
    Random random(6);
    SampleRun run(6, VOCABULARY);
    run.forbid_from(248077);
    for (i32 r = 0; r < run.rows(); r++) {
        for (i32 id = 0; id < VOCABULARY; id++) run.logits.at(r, id) = static_cast<f32>(2.5 * random.normal() - 3);
        run.logits.at(r, 248100) = 90;  // a padding row
        Draw& draw = run.step.draw(r);
        draw.seed = random.bits();
        draw.temperature = 1;
        draw.top_k = r == 0 ? 20 : r == 1 ? 5000 : 0;
        draw.top_p = r == 0 || r == 2 ? 0.95f : r == 3 ? 0.3f : 1.0f;
        if (r == 5) draw.temperature = 0;
    }
    check_equal(run.run(), 0u, "error word");
    run.check();
}

TEST(sample_greedy_ties_go_to_the_lowest_id) {
    for_all_schedules([](const Schedule&) {
        constexpr i32 VOCABULARY = 9000;
        SampleRun run(4, VOCABULARY);
        const i32 expected[] = {6000, 8999, 0, 17};
        for (i32 r = 0; r < 4; r++)
            for (i32 id = 0; id < VOCABULARY; id++) run.logits.at(r, id) = id % 7 ? -2.0f : -1.5f;
        for (i32 id : {6000, 6001, 8000}) run.logits.at(0, id) = 1;
        run.logits.at(1, 8999) = 1e-30f;
        for (i32 id = 0; id < VOCABULARY; id++) run.logits.at(2, id) = id % 2 ? 0.0f : -0.0f;
        for (i32 id : {16, 17, 4000}) run.logits.at(3, id) = id == 16 ? NAN : INFINITY;
        check_equal(run.run(), 0u, "error word");
        for (size_t r = 0; r < 4; r++) check_equal(run.tokens[r], expected[r], "token");
    });
}

/// Of equal logits top-k keeps the lowest ids, whichever way the row takes.
TEST(sample_top_k_ties_keep_the_lowest_ids) {
    for_all_schedules([](const Schedule&) {
        constexpr i32 VOCABULARY = 6000, ROWS = 6;
        SampleRun run(ROWS, VOCABULARY);
        for (i32 r = 0; r < ROWS; r++) {
            for (i32 id = 0; id < VOCABULARY; id++) run.logits.at(r, id) = id >= 100 ? 2.0f : r % 2 ? 2.5f : -9.0f;
            Draw& draw = run.step.draw(r);
            draw.seed = static_cast<u64>(r) * 1237;
            draw.temperature = 5;
            draw.top_k = r < 2 ? 3 : r < 4 ? 105 : 4500;
            draw.top_p = r % 3 == 0 ? 0.9f : 1.0f;
        }
        check_equal(run.run(), 0u, "error word");
        for (i32 r = 0; r < ROWS; r++) {
            const i32 token = run.tokens[static_cast<size_t>(r)], k = run.step.draw(r).top_k;
            if (r % 2) CHECK(token < k);
            else CHECK(token >= 100 && token < 100 + k);
        }
        run.check();
    });
}

/// With equal logits every filter and the draw are whole numbers, so that one candidate too many or too few shows; limits lie on
/// the edges of lists and of pieces of a range.
TEST(sample_equal_logits_count_exactly) {
    constexpr i32 ROWS = (MANY + 1) / 2;
    for (i32 vocabulary : {300, 4097, 8192, 8195}) {
        SampleRun run(ROWS, vocabulary);
        Random random(static_cast<u64>(vocabulary));
        for (i32 r = 0; r < ROWS; r++) {
            for (i32 id = 0; id < vocabulary; id++) run.logits.at(r, id) = -1.25f;
            Draw& draw = run.step.draw(r);
            draw.seed = random.bits();
            draw.temperature = 0.7f;
            draw.top_k = any_of(random, {0, 0, 1, 256, 960, 961, 1024, 2048, 4095, 4096, 4097, 5000, 8191, 8192});
            draw.top_p = any_of(random, {1.0f, 0.5f, 0.25f, 0.75f, 1e-9f, 0.9999f});
        }
        check_equal(run.run(), 0u, "error word");
        for (i32 r = 0; r < ROWS; r++) {
            const Draw& draw = run.step.draw(r);
            double kept = draw.top_k > 0 ? std::min(draw.top_k, vocabulary) : vocabulary;
            if (draw.top_p < 1) kept = std::max(1.0, std::ceil(static_cast<double>(draw.top_p) * kept));
            const i32 expected = static_cast<i32>(HostSampler::uniform(draw.seed, draw.position) * kept);
            check_equal(run.tokens[static_cast<size_t>(r)], expected, "token of " + std::to_string(kept) + " candidates");
        }
    }
}

TEST(sample_narrow_filters_leave_the_best) {
    for_all_schedules([](const Schedule&) {
        Random random(7);
        SampleRun run(5, 700);
        for (i32 r = 0; r < 5; r++) {
            for (i32 id = 0; id < 700; id++) run.logits.at(r, id) = static_cast<f32>(random.normal());
            for (i32 id : {123, 456}) run.logits.at(r, id) = 20;
            Draw& draw = run.step.draw(r);
            draw.seed = random.bits();
            draw.temperature = r == 4 ? 1e-40f : 1.0f;
            draw.top_p = r == 0 ? 1e-30f : r == 1 ? 0.5f : 1.0f;
            draw.top_k = r == 2 ? 1 : 0;
            draw.min_p = r == 3 ? 1.0f : 0.0f;
        }
        check_equal(run.run(), 0u, "error word");
        for (size_t r = 0; r < 3; r++) check_equal(run.tokens[r], 123, "token");
        for (size_t r = 3; r < 5; r++) CHECK(run.tokens[r] == 123 || run.tokens[r] == 456);
    });
}

TEST(sample_frequencies_follow_the_distribution) {
    constexpr i32 DRAWS = 30 + 6 * MANY, IDS = 8;
    for (bool nucleus : {false, true}) {
        SampleRun run(DRAWS, 64);
        run.forbid_from(IDS);
        double p[IDS], sum = 0;
        for (i32 id = 0; id < IDS; id++) sum += p[id] = std::exp(0.3 * (id * 5 % IDS));
        for (i32 r = 0; r < DRAWS; r++) {
            for (i32 id = 0; id < 64; id++) run.logits.at(r, id) = static_cast<f32>(0.15 * (id * 5 % IDS));
            Draw& draw = run.step.draw(r);
            draw.seed = 42;
            draw.position = static_cast<u64>(r);
            draw.temperature = 0.5f;
            draw.top_p = nucleus ? 0.999999f : 1.0f;
        }
        check_equal(run.run(), 0u, "error word");
        double observed[IDS] = {}, chi = 0;
        for (i32 r = 0; r < DRAWS; r++) observed[run.tokens[static_cast<size_t>(r)]]++;
        for (i32 id = 0; id < IDS; id++) {
            const double expected = DRAWS * p[id] / sum;
            chi += (observed[id] - expected) * (observed[id] - expected) / expected;
        }
        // Seven degrees of freedom: above 24.3 once in a thousand tries. The seed is fixed, so the test is no lottery.
        std::printf("    chi² %.2f of seven degrees of freedom\n", chi);
        CHECK(chi < 24.3);
    }
}

TEST(sample_without_a_finite_logit) {
    for_all_schedules([](const Schedule&) {
        SampleRun run(5, 3000);
        for (i32 id = 0; id < 70; id++) run.forbid(id);
        for (i32 r = 0; r < 5; r++)
            for (i32 id = 0; id < 3000; id++) run.logits.at(r, id) = r == 1 ? NAN : r == 3 || id < 70 ? 1.0f : -INFINITY;
        for (i32 r = 2; r < 5; r++) run.step.draw(r).temperature = 1;
        run.logits.at(4, 2222) = -1e30f;
        check_equal(run.run(), NO_CANDIDATE, "error word");
        for (size_t r = 0; r < 3; r++) check_equal(run.tokens[r], 70, "token");
        CHECK(run.tokens[3] >= 70);
        check_equal(run.tokens[4], 2222, "token");
    });
}

/// Numbers that are none count as −∞, wherever they stand; +∞ takes everything.
TEST(sample_not_a_number_and_infinity) {
    for_all_schedules([](const Schedule&) {
        Random random(8);
        SampleRun run(6, 1000);
        for (i32 r = 0; r < 6; r++) {
            for (i32 id = 0; id < 1000; id++)
                run.logits.at(r, id) = id % 3 == 0 ? NAN : id % 3 == 1 ? -INFINITY : static_cast<f32>(random.normal());
            if (r >= 3) run.logits.at(r, 500) = run.logits.at(r, 501) = INFINITY;
            Draw& draw = run.step.draw(r);
            draw.seed = random.bits();
            draw.temperature = 1;
            draw.top_k = r % 3 == 1 ? 10 : 0;
            draw.top_p = r % 3 == 2 ? 0.9f : 1.0f;
        }
        check_equal(run.run(), 0u, "error word");
        for (i32 r = 0; r < 6; r++) {
            const i32 token = run.tokens[static_cast<size_t>(r)];
            if (r < 3) CHECK(token % 3 == 2);
            else CHECK(token == 500 || token == 501);
        }
        run.check();
    });
}

/// Penalties change which id is best, by hand: prompt and output are told apart.
TEST(sample_penalties) {
    for_all_schedules([](const Schedule&) {
        SampleRun run(6, 40);
        std::vector<u32> counts(40, 0);
        counts[1] = SEEN_IN_PROMPT;
        counts[2] = 3;
        counts[3] = SEEN_IN_PROMPT | 1;
        run.count(std::vector<u32>(40, 7));
        run.count(counts);
        for (i32 r = 0; r < 6; r++) {
            for (i32 id = 0; id < 40; id++) run.logits.at(r, id) = -5;
            run.logits.at(r, 0) = 1.0f;
            run.logits.at(r, 1) = 1.9f;
            run.logits.at(r, 2) = 2.4f;
            run.logits.at(r, 3) = 2.2f;
            Draw& draw = run.step.draw(r);
            draw.slot = r == 0 ? -1 : 1;
            draw.repetition_penalty = r == 1 ? 2.0f : 1.0f;    // 1, .95, 1.2, 1.1
            draw.presence_penalty = r >= 2 ? 0.25f : 0.0f;     // 1, 1.9, 2.15, 1.95
            draw.frequency_penalty = r == 3 ? 0.1f : r == 4 ? 0.5f : 0.0f;  // 1, 1.9, 1.85, 1.85; 1, 1.9, .65, 1.45
        }
        run.step.draw(5).presence_penalty = 0;
        const i32 expected[] = {2, 2, 2, 1, 1, 2};
        check_equal(run.run(), 0u, "error word");
        for (size_t r = 0; r < 6; r++) check_equal(run.tokens[r], expected[r], "token of row " + std::to_string(r));
        run.check();
    });
}

/// The window decides which outputs are drawn; more blocks than rows do nothing; a row draws alone what it draws in company.
TEST(sample_windows_and_company) {
    for_all_schedules([](const Schedule&) {
        constexpr i32 OUTPUTS = 7, VOCABULARY = 1500;
        Random random(9);
        SampleRun all(OUTPUTS, VOCABULARY), window(OUTPUTS, VOCABULARY);
        for (i32 o = 0; o < OUTPUTS; o++) {
            const i64 kind = random.integer(0, 3);
            for (i32 id = 0; id < VOCABULARY; id++) all.logits.at(o, id) = any_logit(random, kind);
            all.step.draw(o) = window.step.draw(o) = any_draw(random, false);
        }
        window.step.step().window_from = 3;
        window.step.step().window_rows = 2;
        for (i32 o = 0; o < 2; o++)
            for (i32 id = 0; id < VOCABULARY; id++) window.logits.at(o, id) = all.logits.at(3 + o, id);
        check_equal(all.run(), 0u, "error word");
        check_equal(window.run(5), 0u, "error word");
        for (size_t o = 0; o < OUTPUTS; o++) {
            if (o == 3 || o == 4) check_equal(window.tokens[o], all.tokens[o], "token");
            else CHECK(window.tokens.is_untouched(o));
        }
    });
}

/// Slot 8 of counts in rows of 2²⁹ words begins at an index that fits no 32 bits; only what is touched costs memory.
TEST(sample_penalties_in_a_slot_beyond_32_bits) {
    SampleRun run(2, 40);
    run.counts_stride = 1 << 29;
    for (i32 slot = 0; slot < 8; slot++) run.count(std::vector<u32>(40, 0));
    std::vector<u32> counts(40, 0);
    counts[3] = 1;
    run.count(counts);
    for (i32 r = 0; r < 2; r++) {
        for (i32 id = 0; id < 40; id++) run.logits.at(r, id) = id == 3 ? 2.0f : id == 9 ? 1.5f : -1.0f;
        run.step.draw(r).slot = r == 0 ? 1 : 8;
        run.step.draw(r).presence_penalty = 1;
    }
    check_equal(run.run(), 0u, "error word");
    check_equal(run.tokens[0], 3, "token");
    check_equal(run.tokens[1], 9, "token");
}
