// The part of CUDA C++ that our kernels use, as CPU code: tests run the real .cu files, GPU or not.
//
//     g++ -std=c++17 -DCORNERRT_CUDA_ON_CPU -I plugins/csrc -I tests/plugins -x c++ kernel.cu
//
// Blocks run one after the other. Each thread of a block is a coroutine that runs until it meets a
// barrier or a warp function; when no thread can go on, the complete meetings are resolved. A
// meeting that cannot complete (a thread left, waits elsewhere, or names another mask) makes the
// launch return cudaErrorLaunchFailure, and cuda_on_cpu_error() says which source lines are stuck.
// CUDA_ON_CPU_ORDER=reverse runs the threads in the opposite order: a missing barrier between two
// threads shows in one of the two. Memory errors are for -fsanitize=address to find.
#ifndef CORNERRT_CUDA_ON_CPU_H_
#define CORNERRT_CUDA_ON_CPU_H_

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "cuda_on_cpu_block.h"

#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __shared__ static  // blocks run one after the other, so one copy serves
#define __forceinline__ inline
#define __launch_bounds__(...)

// --- vectors of numbers

struct alignas(8) int2 { int x, y; };
struct alignas(16) int4 { int x, y, z, w; };
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(4) uchar4 { unsigned char x, y, z, w; };
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

// --- half precision, kept as bits and computed in float, which rounds sums as the GPU does

struct __half {
  uint16_t bits;
};

inline float __half2float(__half value) {
  const int exponent = (value.bits >> 10) & 31;
  const int fraction = value.bits & 1023;
  float magnitude = exponent == 31 ? (fraction ? NAN : INFINITY)
                    : exponent     ? std::ldexp(1024.0f + fraction, exponent - 25)
                                   : std::ldexp(static_cast<float>(fraction), -24);
  return value.bits & 0x8000 ? -magnitude : magnitude;
}

inline __half __float2half(float value) {
  const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  const float magnitude = std::fabs(value);
  if (std::isnan(value)) return {0x7fff};
  if (magnitude == 0) return {sign};
  if (magnitude >= 65520.0f) return {static_cast<uint16_t>(sign | 0x7c00)};
  int exponent = 0;
  std::frexp(magnitude, &exponent);  // magnitude < 2^exponent
  exponent = std::max(exponent, -13);
  // nearbyint rounds to even, as the GPU does; a carry runs over into the exponent by itself
  const int units = static_cast<int>(std::nearbyint(std::ldexp(magnitude, 11 - exponent)));
  return {static_cast<uint16_t>(sign | (units + ((exponent + 13) << 10)))};
}

inline __half __hadd(__half a, __half b) {
  return __float2half(__half2float(a) + __half2float(b));
}
inline bool __hisnan(__half a) { return (a.bits & 0x7fff) > 0x7c00; }
inline __half __hmax_nan(__half a, __half b) {
  if (__hisnan(a) || __hisnan(b)) return {0x7fff};
  const auto rank = [](__half value) {  // ordered as the numbers are
    return value.bits & 0x8000 ? -(value.bits & 0x7fff) : int{value.bits};
  };
  return rank(a) > rank(b) ? a : b;
}

struct __half2 {
  __half x, y;
};
inline __half2 __hadd2(__half2 a, __half2 b) { return {__hadd(a.x, b.x), __hadd(a.y, b.y)}; }
inline __half2 __hmax2_nan(__half2 a, __half2 b) {
  return {__hmax_nan(a.x, b.x), __hmax_nan(a.y, b.y)};
}

// --- bits, and loads and stores with a hint for the caches

inline int __popc(unsigned value) { return __builtin_popcount(value); }
inline int __ffs(int value) { return __builtin_ffs(value); }
// Byte i of the result is the one of the eight in (high, low) that selector digit i names.
inline unsigned __byte_perm(unsigned low, unsigned high, unsigned selector) {
  const uint64_t both = uint64_t{high} << 32 | low;
  unsigned result = 0;
  for (int i = 0; i < 4; ++i) {
    result |= static_cast<unsigned>(both >> 8 * (selector >> 4 * i & 7) & 0xff) << 8 * i;
  }
  return result;
}
// The larger of each of four signed bytes.
inline unsigned __vmaxs4(unsigned a, unsigned b) {
  unsigned result = 0;
  for (int shift = 0; shift < 32; shift += 8) {
    const auto byte = std::max(static_cast<int8_t>(a >> shift), static_cast<int8_t>(b >> shift));
    result |= static_cast<unsigned>(static_cast<uint8_t>(byte)) << shift;
  }
  return result;
}
inline int __clz(int value) { return value ? __builtin_clz(static_cast<unsigned>(value)) : 32; }

namespace cuda_on_cpu {
template <typename To, typename From>
To BitCast(From value) {
  static_assert(sizeof(To) == sizeof(From), "sizes differ");
  To result;
  std::memcpy(&result, &value, sizeof(To));
  return result;
}
}  // namespace cuda_on_cpu

inline int __float_as_int(float value) { return cuda_on_cpu::BitCast<int>(value); }
inline unsigned __float_as_uint(float value) { return cuda_on_cpu::BitCast<unsigned>(value); }
inline float __int_as_float(int value) { return cuda_on_cpu::BitCast<float>(value); }
inline float __uint_as_float(unsigned value) { return cuda_on_cpu::BitCast<float>(value); }

template <typename T>
T __ldg(const T* address) {
  return *address;
}
template <typename T>
T __ldcs(const T* address) {
  return *address;
}
template <typename T>
void __stcs(T* address, T value) {
  *address = value;
}

// --- atomics: only one thread runs at a time

namespace cuda_on_cpu {
template <typename T>
T Replace(T* address, T value) {
  const T old = *address;
  *address = value;
  return old;
}
}  // namespace cuda_on_cpu

template <typename T>
T atomicAdd(T* address, std::common_type_t<T> value) {
  return cuda_on_cpu::Replace<T>(address, *address + value);
}
template <typename T>
T atomicMax(T* address, std::common_type_t<T> value) {
  return cuda_on_cpu::Replace<T>(address, std::max<T>(*address, value));
}
template <typename T>
T atomicMin(T* address, std::common_type_t<T> value) {
  return cuda_on_cpu::Replace<T>(address, std::min<T>(*address, value));
}
template <typename T>
T atomicExch(T* address, std::common_type_t<T> value) {
  return cuda_on_cpu::Replace<T>(address, value);
}
template <typename T>
T atomicCAS(T* address, std::common_type_t<T> expected, std::common_type_t<T> value) {
  return cuda_on_cpu::Replace<T>(address, *address == expected ? value : *address);
}

// --- what the lanes of a warp tell each other

namespace cuda_on_cpu {

// The values that the lanes of a mask brought to one warp function.
template <typename T>
const uint64_t* Exchange(const char* what, int line, unsigned mask, T value) {
  static_assert(sizeof(T) <= 8, "a lane brings at most eight bytes");
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  return Wait(State::kInWarp, what, line, mask, bits).lanes;
}

inline int Lane() { return static_cast<int>(TheBlock().running % kWarp); }

// Reads another lane's value: one's own if that lane is outside the segment, as on the GPU.
template <typename T>
T Shuffle(const char* what, int line, unsigned mask, T value, int source, int segment_width) {
  const uint64_t* lanes = Exchange(what, line, mask, value);
  const int first = Lane() / segment_width * segment_width;
  if (source < first || source >= first + segment_width || !(mask >> source & 1)) return value;
  T result;
  std::memcpy(&result, &lanes[source], sizeof(T));
  return result;
}

template <typename T>
T ShuffleIndex(int line, unsigned mask, T value, int source, int width = kWarp) {
  return Shuffle("__shfl_sync", line, mask, value,
                 Lane() / width * width + (source & (width - 1)), width);
}
template <typename T>
T ShuffleUp(int line, unsigned mask, T value, unsigned delta, int width = kWarp) {
  return Shuffle("__shfl_up_sync", line, mask, value, Lane() - static_cast<int>(delta), width);
}
template <typename T>
T ShuffleDown(int line, unsigned mask, T value, unsigned delta, int width = kWarp) {
  return Shuffle("__shfl_down_sync", line, mask, value, Lane() + static_cast<int>(delta), width);
}
template <typename T>
T ShuffleXor(int line, unsigned mask, T value, int lane_mask, int width = kWarp) {
  return Shuffle("__shfl_xor_sync", line, mask, value, Lane() ^ lane_mask, width);
}

inline unsigned Ballot(const char* what, int line, unsigned mask, int predicate) {
  const uint64_t* lanes = Exchange(what, line, mask, static_cast<int>(predicate != 0));
  unsigned result = 0;
  for (int lane = 0; lane < kWarp; ++lane) {
    if ((mask >> lane & 1) && lanes[lane]) result |= 1u << lane;
  }
  return result;
}

inline void SyncWarp(int line, unsigned mask = 0xffffffffu) {
  Exchange("__syncwarp", line, mask, 0);
}

}  // namespace cuda_on_cpu

#define __syncthreads() \
  cuda_on_cpu::Wait(cuda_on_cpu::State::kAtBarrier, "__syncthreads", __LINE__)
#define __syncwarp(...) cuda_on_cpu::SyncWarp(__LINE__ __VA_OPT__(, ) __VA_ARGS__)
#define __shfl_sync(...) cuda_on_cpu::ShuffleIndex(__LINE__, __VA_ARGS__)
#define __shfl_up_sync(...) cuda_on_cpu::ShuffleUp(__LINE__, __VA_ARGS__)
#define __shfl_down_sync(...) cuda_on_cpu::ShuffleDown(__LINE__, __VA_ARGS__)
#define __shfl_xor_sync(...) cuda_on_cpu::ShuffleXor(__LINE__, __VA_ARGS__)
#define __ballot_sync(mask, predicate) \
  cuda_on_cpu::Ballot("__ballot_sync", __LINE__, mask, predicate)
#define __any_sync(mask, predicate) \
  (cuda_on_cpu::Ballot("__any_sync", __LINE__, mask, predicate) != 0)
#define __all_sync(mask, predicate) \
  (cuda_on_cpu::Ballot("__all_sync", __LINE__, mask, predicate) == (mask))

// What was wrong with the last launch that failed.
extern "C" inline __attribute__((used)) const char* cuda_on_cpu_error() {
  return cuda_on_cpu::TheBlock().error.c_str();
}

namespace cornerrt {

template <typename... Parameters, typename... Arguments>
cudaError_t Launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes,
                   cudaStream_t, Arguments... arguments) {
  return cuda_on_cpu::RunGrid(grid, block, shared_bytes, [=] { kernel(arguments...); });
}

template <typename T>
T* DynamicShared() {
  return reinterpret_cast<T*>(cuda_on_cpu::TheBlock().shared.data());
}

}  // namespace cornerrt

#endif  // CORNERRT_CUDA_ON_CPU_H_
