// Numbers as the kernels of corner pooling handle them: packed in 32-bit words, several at once.
//
// A word holds one float, two halves or four int8. Memory moves in packs of 16 bytes (four words),
// of 4, or, where the width allows nothing else, of a single number at the low end of a word.
#ifndef CORNERRT_NUMBER_WORDS_H_
#define CORNERRT_NUMBER_WORDS_H_

#include <cstdint>
#include <cstring>

#include "launch.h"

namespace cornerrt {

// Each struct below has the same members: kBytes per number, kLowest (a word of the smallest
// number), and functions of words: Max, where NaN wins over every number; Scan, which replaces each
// number by the largest up to it and in `before`; Reverse, which reverses the numbers' order;
// SpreadLast, which fills a word with its last (highest) number; and, but for int8, Add.

struct FloatWords {
  static constexpr int kBytes = 4;
  static constexpr uint32_t kLowest = 0xff800000u;  // minus infinity

  static __device__ uint32_t Max(uint32_t a, uint32_t b) {
    const float x = __uint_as_float(a);
    const float y = __uint_as_float(b);
    return x > y || x != x ? a : b;
  }
  static __device__ uint32_t Add(uint32_t a, uint32_t b) {
    return __float_as_uint(__uint_as_float(a) + __uint_as_float(b));
  }
  static __device__ uint32_t Scan(uint32_t word, uint32_t before) { return Max(word, before); }
  static __device__ uint32_t Reverse(uint32_t word) { return word; }
  static __device__ uint32_t SpreadLast(uint32_t word) { return word; }
};

struct HalfWords {
  static constexpr int kBytes = 2;
  static constexpr uint32_t kLowest = 0xfc00fc00u;  // minus infinity, twice

  static __device__ __half2 AsHalves(uint32_t word) {
    __half2 halves;
    memcpy(&halves, &word, sizeof(word));
    return halves;
  }
  static __device__ uint32_t AsWord(__half2 halves) {
    uint32_t word;
    memcpy(&word, &halves, sizeof(word));
    return word;
  }
  static __device__ uint32_t Max(uint32_t a, uint32_t b) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
    // Turing has no such instruction, and CUDA's stand-in takes three times the registers.
    const unsigned keep =
        __hgt2_mask(AsHalves(a), AsHalves(b)) | __hneu2_mask(AsHalves(a), AsHalves(a));
    return (a & keep) | (b & ~keep);
#else
    return AsWord(__hmax2_nan(AsHalves(a), AsHalves(b)));
#endif
  }
  static __device__ uint32_t Add(uint32_t a, uint32_t b) {
    return AsWord(__hadd2(AsHalves(a), AsHalves(b)));
  }
  static __device__ uint32_t Scan(uint32_t word, uint32_t before) {
    return Max(Max(word, word << 16 | kLowest >> 16), before);
  }
  static __device__ uint32_t Reverse(uint32_t word) { return __byte_perm(word, 0, 0x1032); }
  static __device__ uint32_t SpreadLast(uint32_t word) { return __byte_perm(word, 0, 0x3232); }
};

struct Int8Words {
  static constexpr int kBytes = 1;
  static constexpr uint32_t kLowest = 0x80808080u;  // -128, four times

  static __device__ uint32_t Max(uint32_t a, uint32_t b) { return __vmaxs4(a, b); }
  // One by one: no GPU has a maximum of four bytes, and what stands for it takes six instructions.
  static __device__ uint32_t Scan(uint32_t word, uint32_t before) {
    int largest[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int own = static_cast<int8_t>(word >> 8 * i);
      const int earlier = i > 0 ? largest[i - 1] : static_cast<int8_t>(before);
      largest[i] = own > earlier ? own : earlier;
    }
    return __byte_perm(__byte_perm(largest[0], largest[1], 0x0040),
                       __byte_perm(largest[2], largest[3], 0x0040), 0x5410);
  }
  static __device__ uint32_t Reverse(uint32_t word) { return __byte_perm(word, 0, 0x0123); }
  static __device__ uint32_t SpreadLast(uint32_t word) { return __byte_perm(word, 0, 0x3333); }
};

// What one thread loads or stores at once: kPackBytes of neighbouring numbers.
template <int kPackBytes>
struct Pack {
  static constexpr int kWords = kPackBytes > 4 ? kPackBytes / 4 : 1;
  uint32_t words[kWords];
};

// Moves a pack of 16, 4, 2 or 1 bytes; `address` is a multiple of that.
template <int kPackBytes>
__device__ Pack<kPackBytes> LoadPack(const void* address) {
  Pack<kPackBytes> pack;
  if constexpr (kPackBytes == 16) {
    const uint4 value = *static_cast<const uint4*>(address);
    pack.words[0] = value.x;
    pack.words[1] = value.y;
    pack.words[2] = value.z;
    pack.words[3] = value.w;
  } else if constexpr (kPackBytes == 4) {
    pack.words[0] = *static_cast<const uint32_t*>(address);
  } else if constexpr (kPackBytes == 2) {
    pack.words[0] = *static_cast<const uint16_t*>(address);
  } else {
    pack.words[0] = *static_cast<const uint8_t*>(address);
  }
  return pack;
}

template <int kPackBytes>
__device__ void StorePack(void* address, const Pack<kPackBytes>& pack) {
  if constexpr (kPackBytes == 16) {
    *static_cast<uint4*>(address) =
        make_uint4(pack.words[0], pack.words[1], pack.words[2], pack.words[3]);
  } else if constexpr (kPackBytes == 4) {
    *static_cast<uint32_t*>(address) = pack.words[0];
  } else if constexpr (kPackBytes == 2) {
    *static_cast<uint16_t*>(address) = static_cast<uint16_t>(pack.words[0]);
  } else {
    *static_cast<uint8_t*>(address) = static_cast<uint8_t>(pack.words[0]);
  }
}

template <typename Words, int kPackBytes>
__device__ Pack<kPackBytes> LowestPack() {
  Pack<kPackBytes> pack;
#pragma unroll
  for (uint32_t& word : pack.words) word = Words::kLowest;
  return pack;
}

// The larger of two packs, number by number.
template <typename Words, int kPackBytes>
__device__ Pack<kPackBytes> MaxPack(const Pack<kPackBytes>& a, const Pack<kPackBytes>& b) {
  Pack<kPackBytes> result;
#pragma unroll
  for (int i = 0; i < Pack<kPackBytes>::kWords; ++i) {
    result.words[i] = Words::Max(a.words[i], b.words[i]);
  }
  return result;
}

template <typename Words, int kPackBytes>
__device__ Pack<kPackBytes> AddPack(const Pack<kPackBytes>& a, const Pack<kPackBytes>& b) {
  Pack<kPackBytes> result;
#pragma unroll
  for (int i = 0; i < Pack<kPackBytes>::kWords; ++i) {
    result.words[i] = Words::Add(a.words[i], b.words[i]);
  }
  return result;
}

// Reverses the order of a pack's numbers. A single number stays where it is.
template <typename Words, int kPackBytes>
__device__ Pack<kPackBytes> ReversePack(const Pack<kPackBytes>& pack) {
  if constexpr (kPackBytes == Words::kBytes) return pack;
  Pack<kPackBytes> result;
  constexpr int kLast = Pack<kPackBytes>::kWords - 1;
#pragma unroll
  for (int i = 0; i <= kLast; ++i) result.words[i] = Words::Reverse(pack.words[kLast - i]);
  return result;
}

// Replaces every number of a pack by the largest up to it, and returns the largest of all, spread
// over a word.
template <typename Words, int kPackBytes>
__device__ uint32_t ScanPack(Pack<kPackBytes>& pack) {
  if constexpr (kPackBytes == Words::kBytes && kPackBytes < 4) {  // one number at the low end
    return Words::SpreadLast(pack.words[0] << (32 - 8 * kPackBytes));
  }
  uint32_t largest = Words::kLowest;
#pragma unroll
  for (uint32_t& word : pack.words) {
    word = Words::Scan(word, largest);
    largest = Words::SpreadLast(word);
  }
  return largest;
}

// Raises every number of a pack to at least those of `word`.
template <typename Words, int kPackBytes>
__device__ void RaisePack(Pack<kPackBytes>& pack, uint32_t word) {
#pragma unroll
  for (uint32_t& own : pack.words) own = Words::Max(own, word);
}

// The largest word of the lanes before this one, of `lanes` lanes that work together (a power of
// two), and of this lane too. Before means lower, or higher with kFromEnd. All 32 lanes of the warp
// call it.
struct LaneScan {
  uint32_t before;
  uint32_t including;
};

template <typename Words, bool kFromEnd = false>
__device__ LaneScan ScanLanes(uint32_t word, int lane, int lanes) {
  const auto shift = [lanes](uint32_t own, int distance) {
    return kFromEnd ? __shfl_down_sync(kFullWarp, own, distance, lanes)
                    : __shfl_up_sync(kFullWarp, own, distance, lanes);
  };
  const int rank = kFromEnd ? lanes - 1 - lane : lane;
#pragma unroll
  for (int distance = 1; distance < kWarpSize; distance *= 2) {
    if (distance >= lanes) break;
    const uint32_t other = shift(word, distance);
    if (rank >= distance) word = Words::Max(word, other);
  }
  const uint32_t before = shift(word, 1);
  return {rank > 0 ? before : Words::kLowest, word};
}

// Pools one row that `lanes` lanes hold, a pack each.
template <typename Words, int kPackBytes, bool kFromEnd>
__device__ void PoolRowOfLanes(Pack<kPackBytes>& pack, int lane, int lanes) {
  if (kFromEnd) pack = ReversePack<Words, kPackBytes>(pack);
  const uint32_t largest = ScanPack<Words, kPackBytes>(pack);
  RaisePack<Words, kPackBytes>(pack, ScanLanes<Words, kFromEnd>(largest, lane, lanes).before);
  if (kFromEnd) pack = ReversePack<Words, kPackBytes>(pack);
}

}  // namespace cornerrt

#endif  // CORNERRT_NUMBER_WORDS_H_
