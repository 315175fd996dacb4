// What the tests of the experts' products share: a layer's expert matrices as they lie on the device, rows with their choice
// of experts in several skews, and fp64 references of both halves.
#pragma once
#include "products.hpp"

/// How rows choose experts.
enum class Skew {
    EVEN,   // at random
    FEW,    // among the first few only: the others stay empty
    ONE,    // every row chooses expert 0 first, the rest at random
};

struct ExpertSizes {
    i32 experts, slots, hidden, inner, shared_inner;
};

/// Gate and up rows of one expert in alternating groups of eight, padded with zero rows.
inline i32 up_rows(i32 inner) {
    return 2 * rounded_up(inner, 8);
}
inline i32 gate_row(i32 col) {
    return col / 8 * 16 + col % 8;
}
inline i32 up_row(i32 col) {
    return gate_row(col) + 8;
}

struct HostExperts {
    ExpertSizes sizes;
    HostMatrix up, down;                // routed experts, one behind the other
    HostMatrix shared_up, shared_down;

    HostExperts(const ExpertSizes& s, Random& random)
        : sizes(s), up(s.experts * up_rows(s.inner), s.hidden, random, 1 / std::sqrt(static_cast<double>(s.hidden))),
          down(s.experts * s.hidden, s.inner, random, 1 / std::sqrt(static_cast<double>(s.inner))),
          shared_up(up_rows(s.shared_inner), s.hidden, random, 1 / std::sqrt(static_cast<double>(s.hidden))),
          shared_down(s.hidden, s.shared_inner, random, 1 / std::sqrt(static_cast<double>(s.shared_inner))) {
        for (i32 e = 0; e < s.experts; e++) clear_padding(up, e * up_rows(s.inner), s.inner);
        clear_padding(shared_up, 0, s.shared_inner);
    }

    bool is_shared(i32 expert) const { return expert == sizes.experts; }
    i32 inner_of(i32 expert) const { return is_shared(expert) ? sizes.shared_inner : sizes.inner; }
    i32 inner_stride() const { return rounded_up(std::max(sizes.inner, sizes.shared_inner), 8); }

    /// inner[col] of an expert: silu(gate) · up.
    Sum inner(i32 expert, const bf16* x, i32 col) const {
        const HostMatrix& m = is_shared(expert) ? shared_up : up;
        const i64 first = is_shared(expert) ? 0 : static_cast<i64>(expert) * up_rows(sizes.inner);
        const Sum gate = dot(x, &m.at(first + gate_row(col), 0), sizes.hidden);
        const Sum u = dot(x, &m.at(first + up_row(col), 0), sizes.hidden);
        return swiglu(gate, u);
    }
    Sum outer(i32 expert, const bf16* values, i32 col) const {
        const HostMatrix& m = is_shared(expert) ? shared_down : down;
        const i64 first = is_shared(expert) ? 0 : static_cast<i64>(expert) * sizes.hidden;
        return dot(values, &m.at(first + col, 0), inner_of(expert));
    }

private:
    static void clear_padding(HostMatrix& m, i32 first, i32 inner) {
        for (i32 col = inner; col < rounded_up(inner, 8); col++) {
            for (i32 c = 0; c < m.cols; c++) {
                m.at(first + gate_row(col), c) = bf16{0};
                m.at(first + up_row(col), c) = bf16{0};
            }
        }
    }
};

/// The same on the device; read only, so one copy serves every launch.
struct DeviceExperts {
    DeviceArray<bf16> up, down, shared_up, shared_down;

    explicit DeviceExperts(const HostExperts& w)
        : up(w.up.values, "up"), down(w.down.values, "down"), shared_up(w.shared_up.values, "shared up"),
          shared_down(w.shared_down.values, "shared down") {}
};

/// The routed experts' matrices so far apart that from expert 2 on no index fits 32 bits; only what is touched costs memory.
struct FarExperts {
    static constexpr i64 STRIDE = i64{1} << 30;
    DeviceArray<bf16> up, down;

    explicit FarExperts(const HostExperts& w)
        : up(static_cast<size_t>(w.sizes.experts * STRIDE), "up"), down(static_cast<size_t>(w.sizes.experts * STRIDE), "down") {
        for (i32 e = 0; e < w.sizes.experts; e++) {
            copy(up, w.up, e, up_rows(w.sizes.inner));
            copy(down, w.down, e, w.sizes.hidden);
        }
    }

private:
    static void copy(DeviceArray<bf16>& to, const HostMatrix& from, i32 expert, i32 rows) {
        const size_t count = static_cast<size_t>(rows) * static_cast<size_t>(from.stride);
        for (size_t i = 0; i < count; i++)
            to[static_cast<size_t>(expert * STRIDE) + i] = from.values[static_cast<size_t>(expert) * count + i];
    }
};

/// Choices of `rows` rows: slots different experts each.
inline std::vector<i32> choose_experts(const ExpertSizes& s, i32 rows, Skew skew, Random& random) {
    const i32 among = skew == Skew::FEW ? std::min(s.experts, s.slots + 1) : s.experts;
    std::vector<i32> ids;
    for (i32 r = 0; r < rows; r++) {
        std::vector<i32> left;
        for (i32 e = 0; e < among; e++) left.push_back(e);
        for (i32 slot = 0; slot < s.slots; slot++) {
            const i64 pick = slot == 0 && skew == Skew::ONE ? 0 : random.integer(0, static_cast<i64>(left.size()) - 1);
            ids.push_back(left[static_cast<size_t>(pick)]);
            left.erase(left.begin() + pick);
        }
    }
    return ids;
}
