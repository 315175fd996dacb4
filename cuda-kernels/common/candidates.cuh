// Candidates of a draw (spec 6.1, 8.4): the ids of a row of fp32 logits that have a token and a logit above −∞, with penalties
// applied on the fly. A candidate is one u64, its rank, in which the logit stands before the id, so that every filter keeps
// just the candidates from some rank on. Its weight is its probability relative to the best as a 44-bit integer: integer sums
// do not depend on their order. And the random number that picks one.
#pragma once
#include "step.cuh"

constexpr i32 QUAD = 4;                      // ids that are read at once
constexpr f32 MASS_ONE = 0x1p44f;            // probability 1; vocabularies up to 2¹⁹ cannot overflow
constexpr u32 SEEN_IN_PROMPT = 0x80000000u;  // bit of a token's count; those below say how often it was generated

/// The uniform number of (seed, position) as a 64-bit fraction of which 53 bits are random: Philox 4×32-10 (Salmon et al.
/// 2011).
DEVICE u64 philox_fraction(u64 seed, u64 position) {
    u32 c0 = static_cast<u32>(position), c1 = static_cast<u32>(position >> 32), c2 = 0, c3 = 0;
    u32 k0 = static_cast<u32>(seed), k1 = static_cast<u32>(seed >> 32);
    ROLLED
    for (i32 round = 0; round < 10; round++) {
        const u32 high0 = multiply_high(0xD2511F53u, c0), low0 = 0xD2511F53u * c0;
        const u32 high1 = multiply_high(0xCD9E8D57u, c2), low1 = 0xCD9E8D57u * c2;
        c0 = high1 ^ c1 ^ k0;
        c2 = high0 ^ c3 ^ k1;
        c1 = low1;
        c3 = low0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return (static_cast<u64>(c0) << 32 | c1) >> 11 << 11;
}

/// ⌊fraction · value / 2⁶⁴⌋, below value unless that is 0.
DEVICE u64 part_of(u64 fraction, u64 value) {
    const u64 fl = static_cast<u32>(fraction), fh = fraction >> 32, vl = static_cast<u32>(value), vh = value >> 32;
    const u64 middle = fh * vl + (fl * vl >> 32);
    const u64 other = fl * vh + static_cast<u32>(middle);
    return fh * vh + (middle >> 32) + (other >> 32);
}

/// Mass that the nucleus reaches, rounded up: a candidate belongs to it if the mass before it is less.
DEVICE u64 nucleus_of(f32 top_p, u64 total) {
    const double exact = static_cast<double>(top_p) * static_cast<double>(total);
    const u64 whole = static_cast<u64>(exact);
    return static_cast<double>(whole) < exact ? whole + 1 : whole;
}

/// A candidate's rank: larger logits first, among equals (−0 and 0 are) lower ids first. 0: none.
DEVICE u64 rank_of(f32 logit, i32 id) {
    const u32 bits = float_bits(logit + 0.0f);
    if ((bits & 0x7fffffffu) > 0x7f800000u || bits == 0xff800000u) return 0;
    const u32 key = bits >> 31 ? ~bits : bits | 0x80000000u;
    return static_cast<u64>(key) << 32 | ~static_cast<u32>(id);
}
DEVICE f32 logit_of(u64 rank) {
    const u32 key = static_cast<u32>(rank >> 32);
    return bits_float(key >> 31 ? key & 0x7fffffffu : ~key);
}
DEVICE i32 id_of(u64 rank) {
    return static_cast<i32>(~static_cast<u32>(rank));
}
/// The rank with its halves exchanged: orders by id, lower ones first.
DEVICE u64 exchanged(u64 rank) {
    return rank << 32 | rank >> 32;
}

/// A row of logits. The bits of `allowed` behind the vocabulary are zero.
struct CandidateRow {
    const f32* logits;   // 16-byte aligned
    const u32* allowed;
    const u32* counts;   // null: no penalties
    const Draw* draw;
    i32 vocabulary;

    DEVICE f32 penalised(f32 logit, u32 count) const {
        logit = logit > 0 ? logit / draw->repetition_penalty : logit * draw->repetition_penalty;
        const u32 generated = count & ~SEEN_IN_PROMPT;
        if (generated == 0) return logit;
        const double frequency = static_cast<double>(draw->frequency_penalty) * generated;
        return logit - static_cast<f32>(static_cast<double>(draw->presence_penalty) + frequency);
    }

    /// Penalises the ids of a quad that have a token. Rare work, so there is one copy of it, and it turns the quad instead of
    /// indexing it: registers have no address.
    DEVICE void penalise(Vec16& raw, i32 quad, u32 bits) const {
        u32 next = raw.word[0], second = raw.word[1], third = raw.word[2], fourth = raw.word[3];
        ROLLED
        for (i32 i = 0; i < QUAD; i++) {
            const u32 count = bits >> i & 1 ? counts[quad + i] : 0;
            if (count != 0) next = float_bits(penalised(bits_float(next), count));
            const u32 done = next;
            next = second;
            second = third;
            third = fourth;
            fourth = done;
        }
        raw = {{next, second, third, fourth}};
    }

    /// Visits the ranks of quads `first`, `first + step`, … below `end`; all of these are multiples of four.
    template <class Visit>
    DEVICE void each(i32 first, i32 end, i32 step, Visit visit) const {
        ROLLED
        for (i32 quad = first; quad < end; quad += step) {
            Vec16 raw = load16(logits + quad);
            const u32 bits = allowed[quad / 32] >> quad % 32;
            if (counts != nullptr) penalise(raw, quad, bits);
            UNROLL
            for (i32 i = 0; i < QUAD; i++) {
                const u64 rank = bits >> i & 1 ? rank_of(bits_float(raw.word[i]), quad + i) : 0;
                if (rank != 0) visit(rank);
            }
        }
    }

    /// Visits this thread's share of the whole row.
    template <class Visit>
    DEVICE void each(Visit visit) const {
        const i32 threads = static_cast<i32>(blockDim.x);
        each(static_cast<i32>(threadIdx.x) * QUAD, vocabulary, threads * QUAD, visit);
    }
};

/// What a candidate counts for: 1, or the mass of its probability where that is at least min_p.
struct CandidateWeight {
    f32 best;   // logit of probability 1
    f32 scale;  // 1 / temperature
    f32 min_p;
    bool ones;

    DEVICE CandidateWeight whatever_min_p() const { return {best, scale, 0, false}; }

    DEVICE u64 operator()(u64 rank) const {
        if (ones) return 1;
        const f32 logit = logit_of(rank);
        const f32 p = logit == best ? 1.0f : exponential((logit - best) * scale);
        return p >= min_p ? static_cast<u64>(p * MASS_ONE) : 0;
    }
};
