// The block's part of a matrix product on tensor cores: a tile of activation rows times a tile of weight rows, both bf16 with
// k contiguous, fp32 sums in registers. 16-byte pieces go from global to shared memory asynchronously, `Stages` steps of 32 k
// in a ring, one barrier a step; ldmatrix reads them without bank conflicts, because piece c of a row lies at c xor swizzle.
// Every sum runs over k in steps of 16 from 0 on whatever the tile's shape, so a row's result depends on nothing around it.
// Rows, columns and k beyond the matrix are filled with zeros and never read.
#pragma once
#include "port.cuh"

constexpr i32 TILE_DEPTH = 32;   // k of one step
constexpr i32 TILE_PIECES = 4;   // 16-byte pieces of a row in a step
constexpr i32 PIECE_VALUES = 8;

/// Which of 32 neighbouring weight rows is column c of n-tile t (0..3). A lane holds columns 2q and 2q + 1 (q = lane mod 4) of
/// every n-tile; this order gives it the eight neighbours 8q..8q+7, two of them from each n-tile: whole 16-byte stores.
struct NeighbourColumns {
    DEVICE static i32 weight_row(i32 tile, i32 column) {
        return 8 * (column >> 1) + 2 * tile + (column & 1);
    }
    DEVICE static i32 swizzle(i32 row) {
        return row >> 3 & 3;
    }
};

/// For weights in groups of 8 gate rows and 8 up rows: even n-tiles hold gates, odd ones the up values of the same columns. Of
/// the 16 columns of the pair a lane has 4q..4q+3: gates of the first two in n-tile 0, of the last two in n-tile 2.
struct GatedColumns {
    DEVICE static i32 weight_row(i32 tile, i32 column) {
        const i32 pair = 4 * (column >> 1) + 2 * (tile >> 1) + (column & 1);
        return 16 * (pair >> 3) + 8 * (tile & 1) + (pair & 7);
    }
    DEVICE static i32 swizzle(i32 row) {
        return (row >> 2 & 1) | (row >> 3 & 2);
    }
};

template <i32 TileRows, i32 TileCols, i32 WarpRows, i32 WarpCols, i32 Stages, class Columns>
struct TileProduct {
    static constexpr i32 ROWS = TileRows;
    static constexpr i32 COLS = TileCols;
    static constexpr i32 WARPS_ACROSS = TileCols / WarpCols;
    static constexpr i32 THREADS = WARP * (TileRows / WarpRows) * WARPS_ACROSS;
    static constexpr i32 ROW_TILES = WarpRows / 16;
    static constexpr i32 COL_GROUPS = WarpCols / 32;
    static constexpr i32 ROWS_AT_ONCE = THREADS / TILE_PIECES;  // that the block copies
    static constexpr i32 ROW_COPIES = (TileRows + ROWS_AT_ONCE - 1) / ROWS_AT_ONCE;
    static constexpr i32 WEIGHT_COPIES = TileCols / ROWS_AT_ONCE;
    static_assert(WarpRows % 16 == 0 && WarpCols % 32 == 0 && TileCols % ROWS_AT_ONCE == 0 && Stages >= 3);

    struct Stage {
        Vec16 row[TileRows][TILE_PIECES];
        Vec16 weight[TileCols][TILE_PIECES];
    };
    struct Shared {
        Stage stage[Stages];
    };

    const bf16* row_from[ROW_COPIES];  // this thread's piece of the rows that it copies
    const bf16* weight_from[WEIGHT_COPIES];
    i32 row_count;
    i32 col_count;
    f32 sum[ROW_TILES][COL_GROUPS * 4][4];

    DEVICE static i32 copy_row() {
        return static_cast<i32>(threadIdx.x) / TILE_PIECES;
    }
    DEVICE static i32 copy_piece() {
        return static_cast<i32>(threadIdx.x) % TILE_PIECES;
    }
    DEVICE static i32 warp_row() {
        return warp_id() / WARPS_ACROSS * WarpRows;
    }
    DEVICE static i32 warp_col() {
        return warp_id() % WARPS_ACROSS * WarpCols;
    }

    /// The tile's activations: row r < count begins at address(r).
    template <class Address>
    DEVICE void rows(i32 count, Address address) {
        row_count = count;
        UNROLL
        for (i32 i = 0; i < ROW_COPIES; i++) {
            const i32 row = copy_row() + i * ROWS_AT_ONCE;
            row_from[i] = address(row < count ? row : 0) + copy_piece() * PIECE_VALUES;
        }
    }

    /// The tile's weights: row c < count begins at from + c · stride.
    DEVICE void weights(const bf16* from, i32 count, i32 stride) {
        col_count = count;
        UNROLL
        for (i32 i = 0; i < WEIGHT_COPIES; i++) {
            const i32 col = copy_row() + i * ROWS_AT_ONCE;
            weight_from[i] = from + static_cast<i64>(col < count ? col : 0) * stride + copy_piece() * PIECE_VALUES;
        }
    }

    /// Computes the sums; `depth` is a multiple of 8.
    DEVICE void run(Shared& shared, i32 depth) {
        UNROLL
        for (i32 i = 0; i < ROW_TILES; i++) {
            UNROLL
            for (i32 j = 0; j < COL_GROUPS * 4; j++) {
                UNROLL
                for (i32 v = 0; v < 4; v++) sum[i][j][v] = 0;
            }
        }
        UNROLL
        for (i32 s = 0; s < Stages - 1; s++) {
            copy(shared.stage[s], s * TILE_DEPTH, depth);
            copy_commit();
        }
        // Warps without a row or column of the matrix only help with copying.
        const bool works = warp_row() < row_count && warp_col() < col_count;
        i32 stage = 0;
        for (i32 k = 0; k < depth; k += TILE_DEPTH) {
            copy_wait<Stages - 2>();
            block_sync();
            // The barrier also says that everybody has done with the stage before this one, which is filled again.
            copy(shared.stage[stage == 0 ? Stages - 1 : stage - 1], k + (Stages - 1) * TILE_DEPTH, depth);
            copy_commit();
            if (works) multiply(shared.stage[stage]);
            stage = stage == Stages - 1 ? 0 : stage + 1;
        }
    }

    /// Hands out the finished sums: take(row, first, sums), where first is the first of 32 neighbouring weight rows, counted
    /// from the tile's, and sums[2t + e] belongs to the one that Columns puts into column 2 · (lane mod 4) + e of n-tile t.
    template <class Take>
    DEVICE void each(Take take) const {
        UNROLL
        for (i32 i = 0; i < 2 * ROW_TILES; i++) {
            const i32 row = warp_row() + 8 * i + lane_id() / 4;
            UNROLL
            for (i32 group = 0; group < COL_GROUPS; group++) {
                const i32 first = warp_col() + 32 * group;
                if (row >= row_count || first >= col_count) continue;
                f32 sums[8];
                UNROLL
                for (i32 v = 0; v < 8; v++) sums[v] = sum[i / 2][4 * group + v / 2][i % 2 * 2 + v % 2];
                take(row, first, sums);
            }
        }
    }

  private:
    /// Copies a step, which is none of the matrix's at the end.
    DEVICE void copy(Stage& stage, i32 k, i32 depth) const {
        if (k >= depth) return;
        const bool inside = k + copy_piece() * PIECE_VALUES < depth;
        UNROLL
        for (i32 i = 0; i < ROW_COPIES; i++) {
            const i32 row = copy_row() + i * ROWS_AT_ONCE;
            if (TileRows % ROWS_AT_ONCE == 0 || row < TileRows) {
                copy_async16(&stage.row[row][copy_piece() ^ row_swizzle(row)], row_from[i] + k, inside && row < row_count);
            }
        }
        UNROLL
        for (i32 i = 0; i < WEIGHT_COPIES; i++) {
            const i32 col = copy_row() + i * ROWS_AT_ONCE;
            copy_async16(&stage.weight[col][copy_piece() ^ Columns::swizzle(col)], weight_from[i] + k,
                         inside && col < col_count);
        }
    }

    DEVICE void multiply(const Stage& stage) {
        const i32 lane = lane_id();
        UNROLL
        for (i32 step = 0; step < TILE_DEPTH / 16; step++) {
            u32 a[ROW_TILES][4];
            UNROLL
            for (i32 i = 0; i < ROW_TILES; i++) {
                const i32 row = warp_row() + 16 * i + lane % 16;
                load_tiles(a[i], &stage.row[row][(2 * step + lane / 16) ^ row_swizzle(row)]);
            }
            UNROLL
            for (i32 pair = 0; pair < 2 * COL_GROUPS; pair++) {
                const i32 tile = pair % 2 * 2 + lane / 16;
                const i32 col = warp_col() + pair / 2 * 32 + Columns::weight_row(tile, lane % 8);
                u32 b[4];
                load_tiles(b, &stage.weight[col][(2 * step + lane / 8 % 2) ^ Columns::swizzle(col)]);
                UNROLL
                for (i32 i = 0; i < ROW_TILES; i++) {
                    mma_bf16(sum[i][2 * pair], a[i], b[0], b[1]);
                    mma_bf16(sum[i][2 * pair + 1], a[i], b[2], b[3]);
                }
            }
        }
    }

    /// Eight neighbouring rows, two to 128 bytes.
    DEVICE static i32 row_swizzle(i32 row) {
        return row >> 1 & 3;
    }
};
