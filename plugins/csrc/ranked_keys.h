// Choosing and sorting the largest of many scores, by all threads of a block together.
//
// A key holds a score and an index in one number, so that larger keys come first: the higher score,
// and of equal ones the lower index. Keys are never equal, so what is chosen does not depend on the
// order in which threads run.
#ifndef CORNERRT_RANKED_KEYS_H_
#define CORNERRT_RANKED_KEYS_H_

#include <cstdint>

#include "launch.h"

namespace cornerrt {

// Scores lie in [0, 1]: as bits they need 30 and grow with the score. Indices take the other 30.
using Key = uint64_t;
constexpr int kIndexBits = 30;
constexpr int kKeyBits = 60;
constexpr uint32_t kIndexMask = (1u << kIndexBits) - 1;
constexpr Key kNoKey = 0;  // score 0 at the last index, which is never used

__device__ inline Key MakeKey(uint32_t score_bits, uint32_t index) {
  return Key{score_bits} << kIndexBits | (kIndexMask - index);
}
__device__ inline uint32_t IndexOf(Key key) {
  return kIndexMask - (static_cast<uint32_t>(key) & kIndexMask);
}
__device__ inline float ScoreOf(Key key) {
  return __uint_as_float(static_cast<uint32_t>(key >> kIndexBits));
}

constexpr int kDigitBits = 10;
constexpr int kBins = 1 << kDigitBits;

// Shared memory of the functions below.
struct RankScratch {
  uint32_t bins[kBins];
  uint32_t warp_sums[kWarpSize];
  uint32_t bin;     // where FindBin stopped,
  uint32_t within;  // the keys in that bin
  uint32_t above;   // and the keys in all higher ones
  uint32_t kept;
};

// A thread's part of a sum over the block.
struct BlockSum {
  uint32_t before;  // the sum of all threads before this one
  uint32_t total;
};

// Adds up a number per thread. All threads call it, and meet at a barrier before they do again.
__device__ inline BlockSum SumBefore(uint32_t own, RankScratch& scratch) {
  const int thread = static_cast<int>(threadIdx.x);
  const int lane = thread % kWarpSize;
  uint32_t including = own;
#pragma unroll
  for (int distance = 1; distance < kWarpSize; distance *= 2) {
    const uint32_t other = __shfl_up_sync(kFullWarp, including, distance);
    if (lane >= distance) including += other;
  }
  if (lane == kWarpSize - 1) scratch.warp_sums[thread / kWarpSize] = including;
  __syncthreads();
  BlockSum sum{including - own, 0};
  for (int warp = 0; warp < static_cast<int>(blockDim.x) / kWarpSize; ++warp) {
    if (warp < thread / kWarpSize) sum.before += scratch.warp_sums[warp];
    sum.total += scratch.warp_sums[warp];
  }
  return sum;
}

// Finds the highest bin such that it and the bins above hold `wanted` keys; the lowest bin if there
// are fewer. The answer is in the scratch memory after the barrier that ends this.
__device__ inline void FindBin(uint32_t wanted, RankScratch& scratch) {
  const int per_thread = kBins / static_cast<int>(blockDim.x);
  const int highest = kBins - 1 - static_cast<int>(threadIdx.x) * per_thread;
  uint32_t own = 0;
  for (int i = 0; i < per_thread; ++i) own += scratch.bins[highest - i];
  uint32_t above = SumBefore(own, scratch).before;
  const bool is_last = threadIdx.x == blockDim.x - 1;
  if (above < wanted && (above + own >= wanted || is_last)) {
    int bin = highest;
    while (bin > 0 && above + scratch.bins[bin] < wanted) above += scratch.bins[bin--];
    scratch.bin = static_cast<uint32_t>(bin);
    scratch.within = scratch.bins[bin];
    scratch.above = above;
  }
  __syncthreads();
}

// Returns a floor that at least `wanted` keys reach, but at most `room`; all reach it if there are
// fewer than `wanted`. `key_at(i)` gives key i of `count`, or kNoKey. 1 <= wanted <= room.
//
// Ten bits at a time from the top: a histogram shows in which bin the last wanted key lies, and
// only that bin is looked into further. Most often the first or second look leaves few enough.
template <typename KeyAt>
__device__ Key FindFloor(int count, uint32_t wanted, uint32_t room, RankScratch& scratch,
                         KeyAt key_at) {
  const int threads = static_cast<int>(blockDim.x);
  Key prefix = 0;
  uint32_t above = 0;
  for (int shift = kKeyBits - kDigitBits;; shift -= kDigitBits) {
    for (int bin = threadIdx.x; bin < kBins; bin += threads) scratch.bins[bin] = 0;
    __syncthreads();
#pragma unroll 4
    for (int i = threadIdx.x; i < count; i += threads) {
      const Key key = key_at(i);
      if (key != kNoKey && key >> shift >> kDigitBits == prefix) {
        atomicAdd(&scratch.bins[key >> shift & (kBins - 1)], 1u);
      }
    }
    __syncthreads();
    FindBin(wanted - above, scratch);
    above += scratch.above;
    prefix = prefix << kDigitBits | scratch.bin;
    if (above + scratch.within <= room) {  // certain at the last digit, since keys differ
      const Key floor = prefix << shift;
      return floor == kNoKey ? kNoKey + 1 : floor;
    }
  }
}

// Writes the keys that reach the floor, in any order, and returns how many there are.
template <typename KeyAt>
__device__ uint32_t CollectKeys(int count, Key floor, RankScratch& scratch, KeyAt key_at,
                                Key* collected) {
  if (threadIdx.x == 0) scratch.kept = 0;
  __syncthreads();
#pragma unroll 4
  for (int i = threadIdx.x; i < count; i += static_cast<int>(blockDim.x)) {
    const Key key = key_at(i);
    if (key >= floor) collected[atomicAdd(&scratch.kept, 1u)] = key;
  }
  __syncthreads();
  return scratch.kept;
}

// Sorts keys, largest first (bitonic). `keys` has room for `count` rounded up to a power of two.
__device__ inline void SortDescending(Key* keys, int count) {
  const int thread = static_cast<int>(threadIdx.x);
  const int threads = static_cast<int>(blockDim.x);
  int padded = 1;
  while (padded < count) padded *= 2;
  for (int i = count + thread; i < padded; i += threads) keys[i] = kNoKey;
  int reach = padded;  // how far apart the keys were that a thread last wrote
  for (int size = 2; size <= padded; size *= 2) {
    for (int stride = size / 2; stride > 0; stride /= 2) {
      // Up to 32 apart, a warp's 32 pairs of keys are 64 neighbours, which no other warp touches.
      if (reach > kWarpSize || stride > kWarpSize) {
        __syncthreads();
      } else {
        __syncwarp();
      }
      reach = stride;
      for (int pair = thread; pair < padded / 2; pair += threads) {
        const int first = 2 * pair - (pair & (stride - 1));
        const Key a = keys[first];
        const Key b = keys[first + stride];
        const bool descending = (first & size) == 0;
        if ((a < b) == descending) {
          keys[first] = b;
          keys[first + stride] = a;
        }
      }
    }
  }
  __syncthreads();
}

}  // namespace cornerrt

#endif  // CORNERRT_RANKED_KEYS_H_
