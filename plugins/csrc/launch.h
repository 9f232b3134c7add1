// Launching kernels, in a form that nvcc compiles for the GPU and a plain C++ compiler for tests.
//
// Kernel headers and .cu files include this file instead of CUDA's own headers, and never write
// <<<...>>>. With -DCORNERRT_CUDA_ON_CPU the same names run as CPU code, one block after the other.
#ifndef CORNERRT_LAUNCH_H_
#define CORNERRT_LAUNCH_H_

#ifdef CORNERRT_CUDA_ON_CPU
#include "cuda_on_cpu.h"  // in tests/plugins
#else
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#endif

#include <cstddef>
#include <cstdint>

namespace cornerrt {

// Threads of a warp, and the mask that names them all.
constexpr int kWarpSize = 32;
constexpr unsigned kFullWarp = 0xffffffffu;

constexpr int64_t DivideUp(int64_t value, int64_t divisor) {
  return (value + divisor - 1) / divisor;
}

#ifdef __CUDACC__
// Enqueues a kernel on a stream and returns this launch's own error.
//
// Safe while the stream is being captured: nothing waits or allocates, and no error that an
// earlier call left behind is read or cleared, as cudaGetLastError would.
template <typename... Parameters, typename... Arguments>
cudaError_t Launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes,
                   cudaStream_t stream, Arguments... arguments) {
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared_bytes;
  config.stream = stream;
  return cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...);
}

// The dynamic shared memory that a launch asked for, as elements of one type.
template <typename T>
__device__ T* DynamicShared() {
  extern __shared__ __align__(16) unsigned char cornerrt_dynamic_shared[];
  return reinterpret_cast<T*>(cornerrt_dynamic_shared);
}
#endif

}  // namespace cornerrt

#endif  // CORNERRT_LAUNCH_H_
