// The kernels of corner pooling. corner_pool_kernel.cu chooses among them.
#ifndef CORNERRT_CORNER_POOL_DEVICE_H_
#define CORNERRT_CORNER_POOL_DEVICE_H_

#include <cstdint>

#include "launch.h"
#include "number_words.h"

namespace cornerrt {

// Every layout and direction is one of two problems on a tensor [outer][steps][inner]: pool along
// `steps`. With inner == 1 the walk runs through contiguous memory (PoolRows), otherwise across it
// (PoolColumns). Top and bottom of a linear tensor are (N*C, H, W); left and right of [N][H][W][C]
// are (N*H, W, C).
struct Walk {
  int64_t outer;
  int64_t steps;
  int64_t inner;
  bool from_end;
};

// 8 warps. Enough bytes on their way hide the memory's latency: each thread loads 4 (rows) or 8
// (columns) packs before it needs the first.
constexpr int kBlockThreads = 256;
constexpr int kRowPacks = 4;
constexpr int kColumnPacks = 8;
constexpr int kSegments = kBlockThreads / kWarpSize;
// Two blocks of PoolColumns on a multiprocessor have 64 KiB on their way, several times what it
// takes. Asking for more makes the compiler spill registers; asking for none does so on Blackwell.
constexpr int kColumnBlocks = 2;

// Pools contiguous rows of `width` packs. Groups of kLanes threads share a row: each scans its own
// pack, and shuffles join the packs. Short rows (kTiles == 1, width <= kLanes): a group takes
// kRows rows at once. Long rows: it takes kTiles packs per thread at once and carries the largest
// number from one round to the next.
template <typename Words, int kPackBytes, int kLanes, int kRows, int kTiles, bool kFromEnd>
__global__ void __launch_bounds__(kBlockThreads)
    PoolRows(const uint8_t* __restrict__ input, uint8_t* __restrict__ output, int64_t rows,
             int64_t width) {
  constexpr int kGroups = kBlockThreads / kLanes;
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
  const int64_t first_row =
      static_cast<int64_t>(blockIdx.x) * (kGroups * kRows) + threadIdx.x / kLanes;
  uint32_t carry[kRows];
#pragma unroll
  for (uint32_t& word : carry) word = Words::kLowest;

  for (int64_t start = 0; start < width; start += kLanes * kTiles) {
    // Where a pack lies, in bytes; negative outside the tensor.
    const auto place = [&](int r, int t) -> int64_t {
      const int64_t row = first_row + r * kGroups;
      const int64_t step = start + t * kLanes + lane;
      if (row >= rows || step >= width) return -1;
      return (row * width + (kFromEnd ? width - 1 - step : step)) * kPackBytes;
    };
    Pack<kPackBytes> packs[kRows][kTiles];
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
#pragma unroll
      for (int t = 0; t < kTiles; ++t) {
        const int64_t from = place(r, t);
        packs[r][t] =
            from < 0 ? LowestPack<Words, kPackBytes>() : LoadPack<kPackBytes>(input + from);
      }
    }
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
#pragma unroll
      for (int t = 0; t < kTiles; ++t) {
        Pack<kPackBytes> pack =
            kFromEnd ? ReversePack<Words, kPackBytes>(packs[r][t]) : packs[r][t];
        const LaneScan scan = ScanLanes<Words>(ScanPack<Words, kPackBytes>(pack), lane, kLanes);
        RaisePack<Words, kPackBytes>(pack, Words::Max(scan.before, carry[r]));
        if (kTiles > 1) {
          carry[r] = Words::Max(carry[r],
                                __shfl_sync(kFullWarp, scan.including, kLanes - 1, kLanes));
        }
        const int64_t to = place(r, t);
        if (to >= 0) {
          StorePack<kPackBytes>(
              output + to, kFromEnd ? ReversePack<Words, kPackBytes>(pack) : pack);
        }
      }
    }
  }
}

// What PoolColumns adds to its result.
enum class Addend {
  kNothing,
  kTensor,         // another tensor, which may be the output itself
  kRowsFromStart,  // another tensor, pooled along the row by the lanes that hold the row
  kRowsFromEnd,
};

// Pools across rows of walk.inner packs (here in packs, not numbers). A warp holds 32 neighbouring
// columns; each thread walks kSteps steps of its column. The block's warps take consecutive
// segments of the same columns, so that one plane occupies 8 warps instead of one, and tell each
// other the segments' largest numbers through shared memory; so each number is read once.
template <typename Words, int kPackBytes, Addend kAddend>
__global__ void __launch_bounds__(kBlockThreads, kColumnBlocks)
    PoolColumns(const uint8_t* __restrict__ input, const uint8_t* addend, uint8_t* output,
                Walk walk) {
  using OnePack = Pack<kPackBytes>;
  constexpr int kSteps = kAddend == Addend::kNothing ? kColumnPacks : kColumnPacks / 2;
  // Two buffers, so that one barrier per round is enough.
  __shared__ OnePack largest[2][kSegments][kWarpSize];
  const int lane = static_cast<int>(threadIdx.x);
  const int segment = static_cast<int>(threadIdx.y);
  const int64_t column = static_cast<int64_t>(blockIdx.x) * kWarpSize + lane;
  const bool inside = column < walk.outer * walk.inner;
  const int64_t stride = walk.from_end ? -walk.inner : walk.inner;
  const int64_t origin = column / walk.inner * walk.steps * walk.inner + column % walk.inner +
                         (walk.from_end ? (walk.steps - 1) * walk.inner : 0);

  OnePack carry = LowestPack<Words, kPackBytes>();
  int turn = 0;
  for (int64_t start = 0; start < walk.steps; start += kSegments * kSteps, turn ^= 1) {
    const int64_t first = start + segment * kSteps;
    const auto load = [&](const uint8_t* from, int s) {
      return inside && first + s < walk.steps
                 ? LoadPack<kPackBytes>(from + (origin + (first + s) * stride) * kPackBytes)
                 : LowestPack<Words, kPackBytes>();
    };
    OnePack packs[kSteps];
    OnePack addends[kSteps];
#pragma unroll
    for (int s = 0; s < kSteps; ++s) packs[s] = load(input, s);
    if constexpr (kAddend != Addend::kNothing) {
#pragma unroll
      for (int s = 0; s < kSteps; ++s) addends[s] = load(addend, s);
    }
#pragma unroll
    for (int s = 1; s < kSteps; ++s) {
      packs[s] = MaxPack<Words, kPackBytes>(packs[s], packs[s - 1]);
    }
    largest[turn][segment][lane] = packs[kSteps - 1];
    __syncthreads();
    OnePack before;
#pragma unroll
    for (int other = 0; other < kSegments; ++other) {
      if (other == segment) before = carry;
      carry = MaxPack<Words, kPackBytes>(carry, largest[turn][other][lane]);
    }
#pragma unroll
    for (int s = 0; s < kSteps; ++s) {
      OnePack pack = MaxPack<Words, kPackBytes>(packs[s], before);
      if constexpr (kAddend == Addend::kRowsFromStart || kAddend == Addend::kRowsFromEnd) {
        constexpr bool kFromEnd = kAddend == Addend::kRowsFromEnd;
        const int lanes = static_cast<int>(walk.inner);
        PoolRowOfLanes<Words, kPackBytes, kFromEnd>(addends[s], lane % lanes, lanes);
      }
      if constexpr (kAddend != Addend::kNothing) {
        pack = AddPack<Words, kPackBytes>(pack, addends[s]);
      }
      if (inside && first + s < walk.steps) {
        StorePack<kPackBytes>(output + (origin + (first + s) * stride) * kPackBytes, pack);
      }
    }
  }
}

}  // namespace cornerrt

#endif  // CORNERRT_CORNER_POOL_DEVICE_H_
