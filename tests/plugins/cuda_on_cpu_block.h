// Running a grid of CUDA threads on the CPU, for cuda_on_cpu.h: blocks one after the other, the
// threads of a block as coroutines that meet at barriers and warp functions.
#ifndef CORNERRT_CUDA_ON_CPU_BLOCK_H_
#define CORNERRT_CUDA_ON_CPU_BLOCK_H_

#include <ucontext.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <vector>

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorInvalidConfiguration = 9,
  cudaErrorLaunchFailure = 719,
};
using cudaStream_t = struct CUstream_st*;

struct dim3 {
  unsigned x, y, z;
  dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
inline dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace cuda_on_cpu {

constexpr int kWarp = 32;
constexpr size_t kStackBytes = 128 * 1024;

enum class State { kReady, kAtBarrier, kInWarp, kDone };

struct Thread {
  ucontext_t context;
  std::unique_ptr<char[]> stack{new char[kStackBytes]};
  State state = State::kReady;
  int line = 0;             // where it waits
  const char* what = "";    // for whom
  unsigned mask = 0;        // the lanes it waits for
  uint64_t value = 0;       // what it brings to them
  uint64_t lanes[kWarp] = {};  // what they brought
};

struct Block {
  std::vector<Thread> threads;
  size_t running = 0;
  ucontext_t scheduler;
  std::function<void()> kernel;
  std::vector<unsigned char> shared;
  std::string error;
};

inline Block& TheBlock() {
  static Block block;
  return block;
}

inline void ThreadMain() {
  Block& block = TheBlock();
  block.kernel();
  block.threads[block.running].state = State::kDone;
}  // uc_link returns to the scheduler

inline Thread& Wait(State state, const char* what, int line, unsigned mask = 0,
                    uint64_t value = 0) {
  Block& block = TheBlock();
  Thread& self = block.threads[block.running];
  self.state = state;
  self.what = what;
  self.line = line;
  self.mask = mask;
  self.value = value;
  swapcontext(&self.context, &block.scheduler);
  return self;
}

inline void Resume(Block& block, size_t index) {
  block.running = index;
  const unsigned rest = static_cast<unsigned>(index) / blockDim.x;
  threadIdx = dim3(index % blockDim.x, rest % blockDim.y, rest / blockDim.y);
  swapcontext(&block.scheduler, &block.threads[index].context);
}

// Whether two threads wait in the same call for the same lanes.
inline bool Together(const Thread& a, const Thread& b) {
  return b.state == State::kInWarp && a.mask == b.mask && a.line == b.line && a.what == b.what;
}

// Hands every lane of one complete warp function the values of all; false if a lane is not there.
inline bool ResolveWarp(Block& block, size_t index, size_t count) {
  const size_t first = index / kWarp * kWarp;
  const Thread& one = block.threads[index];
  if (!(one.mask >> (index - first) & 1)) return false;  // it does not name itself
  uint64_t values[kWarp] = {};
  for (int lane = 0; lane < kWarp; ++lane) {
    if (!(one.mask >> lane & 1)) continue;
    if (first + lane >= count || !Together(one, block.threads[first + lane])) return false;
    values[lane] = block.threads[first + lane].value;
  }
  const unsigned mask = one.mask;
  for (int lane = 0; lane < kWarp; ++lane) {
    if (!(mask >> lane & 1)) continue;
    Thread& thread = block.threads[first + lane];
    std::copy(values, values + kWarp, thread.lanes);
    thread.state = State::kReady;
  }
  return true;
}

// Lets waiting threads go on; false when nothing can.
inline bool Resolve(Block& block, size_t count) {
  bool any = false;
  size_t at_barrier = 0;
  for (size_t i = 0; i < count; ++i) {
    if (block.threads[i].state == State::kInWarp) any |= ResolveWarp(block, i, count);
    const Thread& thread = block.threads[i];
    at_barrier += thread.state == State::kAtBarrier && thread.line == block.threads[0].line;
  }
  if (at_barrier < count) return any;
  for (size_t i = 0; i < count; ++i) block.threads[i].state = State::kReady;
  return true;
}

inline std::string DescribeStuck(const Block& block, size_t count) {
  std::string text;
  for (size_t i = 0; i < count; ++i) {
    const Thread& thread = block.threads[i];
    std::string where = "left";
    if (thread.state != State::kDone) {
      where = std::string(thread.what) + " line " + std::to_string(thread.line);
    }
    if (text.find(where) == std::string::npos) {
      text += (text.empty() ? "" : "; ") + ("thread " + std::to_string(i)) + ": " + where;
    }
  }
  return "threads wait for each other in vain: " + text;
}

inline bool RunBlock(Block& block, size_t count) {
  static const char* order = std::getenv("CUDA_ON_CPU_ORDER");
  static const bool reverse = order && std::string(order) == "reverse";
  std::fill(block.shared.begin(), block.shared.end(), 0xcd);  // shared memory starts undefined
  for (size_t i = 0; i < count; ++i) {
    Thread& thread = block.threads[i];
    thread.state = State::kReady;
    getcontext(&thread.context);
    thread.context.uc_stack.ss_sp = thread.stack.get();
    thread.context.uc_stack.ss_size = kStackBytes;
    thread.context.uc_link = &block.scheduler;
    makecontext(&thread.context, ThreadMain, 0);
  }
  for (;;) {
    bool done = true;
    for (size_t i = 0; i < count; ++i) {
      const size_t index = reverse ? count - 1 - i : i;
      if (block.threads[index].state == State::kReady) Resume(block, index);
      done &= block.threads[index].state == State::kDone;
    }
    if (done) return true;
    if (!Resolve(block, count)) {
      block.error = DescribeStuck(block, count);
      return false;
    }
  }
}

inline cudaError_t RunGrid(dim3 grid, dim3 block_size, size_t shared_bytes,
                           std::function<void()> kernel) {
  const size_t count = size_t{block_size.x} * block_size.y * block_size.z;
  const bool valid_grid = grid.x && grid.y && grid.z && grid.x <= 0x7fffffffu && grid.y <= 65535 &&
                          grid.z <= 65535;
  if (!valid_grid || !count || count > 1024 || block_size.z > 64 || shared_bytes > 48 * 1024) {
    return cudaErrorInvalidConfiguration;
  }
  Block& block = TheBlock();
  if (block.threads.size() < count) block.threads.resize(count);
  block.shared.assign(shared_bytes, 0);
  block.shared.shrink_to_fit();  // so that a sanitizer sees its end
  block.kernel = std::move(kernel);
  gridDim = grid;
  blockDim = block_size;
  for (unsigned z = 0; z < grid.z; ++z) {
    for (unsigned y = 0; y < grid.y; ++y) {
      for (unsigned x = 0; x < grid.x; ++x) {
        blockIdx = dim3(x, y, z);
        if (!RunBlock(block, count)) return cudaErrorLaunchFailure;
      }
    }
  }
  return cudaSuccess;
}

}  // namespace cuda_on_cpu

#endif  // CORNERRT_CUDA_ON_CPU_BLOCK_H_
