"""The CPU stand-in for CUDA: what it computes, and that it notices what a GPU would not forgive."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.plugins.cpu_library import load_for_cpu, needs_compiler

pytestmark = needs_compiler

KERNELS = r"""
#include "launch.h"

__global__ void Indices(int* out) {
  const int thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  const int block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  atomicAdd(&out[block * blockDim.x * blockDim.y * blockDim.z + thread], 1);
}

__global__ void ReverseThroughShared(int* data, int count) {
  __shared__ int tile[128];
  tile[threadIdx.x] = data[threadIdx.x];
  __syncthreads();
  data[threadIdx.x] = tile[count - 1 - threadIdx.x];
}

__global__ void NeighbourWithoutBarrier(int* data) {
  __shared__ int tile[128];
  tile[threadIdx.x] = data[threadIdx.x];
  if (threadIdx.x > 0) data[threadIdx.x] = tile[threadIdx.x - 1];
}

__global__ void WarpFunctions(int* out) {
  using cornerrt::kFullWarp;
  const int lane = threadIdx.x;
  int* row = out + lane * 6;
  row[0] = __shfl_sync(kFullWarp, lane, 7);
  row[1] = __shfl_up_sync(kFullWarp, lane, 3);
  row[2] = __shfl_down_sync(kFullWarp, lane, 3, 8);
  row[3] = __shfl_xor_sync(kFullWarp, lane, 5);
  row[4] = __popc(__ballot_sync(kFullWarp, lane % 3 == 0));
  row[5] = lane < 8 ? __shfl_sync(0xffu, lane * 10, 2) : -1;
  __syncwarp();
}

__global__ void BarrierLeftByOne(int* out) {
  if (threadIdx.x == 5) return;
  __syncthreads();
  out[threadIdx.x] = 1;
}

__global__ void BarrierInTwoBranches(int* out) {
  if (threadIdx.x < 16) {
    __syncthreads();
  } else {
    __syncthreads();
  }
  out[threadIdx.x] = 1;
}

__global__ void ShuffleByHalfAWarp(int* out) {
  if (threadIdx.x < 16) out[threadIdx.x] = __shfl_sync(cornerrt::kFullWarp, 1, 0);
}

__global__ void Halves(const float* in, float* out) {
  out[threadIdx.x] = __half2float(__float2half(in[threadIdx.x]));
}

using cornerrt::Launch;
extern "C" int indices(int* out) {
  return Launch(Indices, dim3(2, 3, 2), dim3(4, 2, 3), 0, nullptr, out);
}
extern "C" int reverse(int* data, int count) {
  return Launch(ReverseThroughShared, 1, count, 0, nullptr, data, count);
}
extern "C" int neighbour(int* data) {
  return Launch(NeighbourWithoutBarrier, 1, 128, 0, nullptr, data);
}
extern "C" int warp_functions(int* out) { return Launch(WarpFunctions, 1, 32, 0, nullptr, out); }
extern "C" int left_by_one(int* out) { return Launch(BarrierLeftByOne, 1, 32, 0, nullptr, out); }
extern "C" int two_branches(int* o) { return Launch(BarrierInTwoBranches, 1, 32, 0, nullptr, o); }
extern "C" int half_a_warp(int* out) { return Launch(ShuffleByHalfAWarp, 1, 32, 0, nullptr, out); }
extern "C" int too_many_threads(int* out) { return Launch(Indices, 1, 1025, 0, nullptr, out); }
extern "C" int halves(const float* in, float* out, int count) {
  return Launch(Halves, 1, count, 0, nullptr, in, out);
}
"""


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder = tmp_path_factory.mktemp("cuda_on_cpu")
    source = folder / "kernels.cu"
    source.write_text(KERNELS, "utf-8")
    return load_for_cpu([source], folder / "kernels.so")


def pointer(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def test_every_thread_of_every_block_runs_once(kernels: ctypes.CDLL) -> None:
    counts = np.zeros(2 * 3 * 2 * 24, np.int32)
    assert kernels.indices(pointer(counts)) == 0
    assert (counts == 1).all()


@pytest.mark.parametrize("count", [1, 31, 32, 100, 128])
def test_a_barrier_orders_shared_memory(kernels: ctypes.CDLL, count: int) -> None:
    data = np.arange(count, dtype=np.int32)
    assert kernels.reverse(pointer(data), count) == 0
    assert data.tolist() == list(range(count))[::-1]


def test_warp_functions_are_those_of_a_warp(kernels: ctypes.CDLL) -> None:
    out = np.zeros((32, 6), np.int32)
    assert kernels.warp_functions(pointer(out)) == 0
    lanes = range(32)
    assert out[:, 0].tolist() == [7] * 32
    assert out[:, 1].tolist() == [lane - 3 if lane >= 3 else lane for lane in lanes]
    assert out[:, 2].tolist() == [lane + 3 if lane % 8 < 5 else lane for lane in lanes]
    assert out[:, 3].tolist() == [lane ^ 5 for lane in lanes]
    assert out[:, 4].tolist() == [11] * 32
    assert out[:, 5].tolist() == [20] * 8 + [-1] * 24


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("left_by_one", "thread 5: left"),
        ("two_branches", "__syncthreads line"),
        ("half_a_warp", "thread 16: left"),
    ],
)
def test_threads_that_part_are_an_error(kernels: ctypes.CDLL, name: str, message: str) -> None:
    out = np.zeros(32, np.int32)
    assert getattr(kernels, name)(pointer(out)) == 719
    assert message in kernels.cuda_on_cpu_error().decode()
    assert kernels.reverse(pointer(out), 32) == 0  # the next launch is not harmed


def test_a_block_too_large_is_an_error(kernels: ctypes.CDLL) -> None:
    assert kernels.too_many_threads(pointer(np.zeros(1025, np.int32))) == 9


def test_a_missing_barrier_shows_in_one_of_the_two_orders(kernels: ctypes.CDLL) -> None:
    # The order is read once per process.
    program = (
        "import ctypes, numpy as np; d = np.arange(128, dtype=np.int32);"
        f"assert ctypes.CDLL({kernels._name!r}).neighbour(ctypes.c_void_p(d.ctypes.data)) == 0;"
        "print(d.tolist() == [0, *range(127)])"
    )
    seen = set()
    for order in ("", "reverse"):
        environment = os.environ | {"CUDA_ON_CPU_ORDER": order}
        command = [sys.executable, "-c", program]
        seen.add(subprocess.check_output(command, env=environment, text=True).strip())
    assert seen == {"True", "False"}


def test_half_precision_rounds_as_numpy_does(kernels: ctypes.CDLL, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    values = np.concatenate(
        [
            np.float32([0, -0.0, 1, -1, 65504, 65519.9, 65520, 1e9, 6e-8, 2.9e-8, 2.98e-8, 1e-30]),
            np.float32([np.inf, -np.inf, np.nan, 2049, 2051, 0.1, 6.1e-5, 6.09e-5]),
            generator.normal(size=400).astype(np.float32),
            np.exp2(generator.uniform(-26, 17, size=400)).astype(np.float32),
        ]
    )
    out = np.empty_like(values)
    assert kernels.halves(pointer(values), pointer(out), values.size) == 0
    with np.errstate(over="ignore"):
        expected = values.astype(np.float16).astype(np.float32)
    np.testing.assert_array_equal(out, expected)
