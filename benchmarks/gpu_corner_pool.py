"""The corner pooling kernels on the GPU: against a device copy, the original, and torch.cummax.

Every candidate is captured in a CUDA graph that works through several sets of tensors, together
larger than the GPU's cache, so that neither the launches nor the cache are what is measured. Times
are those of device events.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import get_args

import torch
from torch import Tensor

from benchmarks.common import Goal, Samples, Sense, Turn, ratio_of, run_rounds, spread_of
from benchmarks.report import Findings
from plugins.kernel_doors import CUDA_SUCCESS, CornerPoolDoors, FeatureMap, Layout, NumberType
from plugins.library import find_library
from plugins.reference import WALKS, Direction
from runtime.errors import ArtifactError, BackendError

SHAPE = (128, 128, 128)  # channels, height, width: the maps of hourglass-104
BATCHES = (8, 16)
DTYPES = {
    NumberType.FLOAT: torch.float32,
    NumberType.HALF: torch.float16,
    NumberType.INT8: torch.int8,
}
# What the plugin offers; HWC8 is HWC where the channels are a multiple of eight.
KINDS = (
    (NumberType.FLOAT, Layout.LINEAR),
    (NumberType.FLOAT, Layout.HWC),
    (NumberType.HALF, Layout.LINEAR),
    (NumberType.HALF, Layout.HWC8),
    (NumberType.INT8, Layout.LINEAR),
    (NumberType.INT8, Layout.CHW32),
)
COPY, KERNEL, LOG_STEP, CUMMAX = "device copy", "kernel", "original log-step", "torch.cummax"
SUM, THREE_CALLS = "kernel, sum of two pools", "kernels, two pools and add"
COPY_GOAL, LOG_STEP_GOAL, CUMMAX_GOAL = 0.85, 10.0, 5.0
CACHES = 4  # all inputs together fill the GPU's L2 cache so many times

# Works on two inputs and writes the third tensor; most leave the second input alone.
Action = Callable[[Tensor, Tensor, Tensor], object]


@dataclass(frozen=True)
class Subject:
    """One tensor form and direction.

    Attributes:
        features: Shape, number type and layout.
        direction: Of the pooling.
    """

    features: FeatureMap
    direction: Direction

    def label(self, candidate: str) -> str:
        """Return the name under which a candidate's times are kept."""
        f = self.features
        kind = f"{f.type.name.lower()} {f.layout.name} x{f.shape[0]}"
        return f"{kind} {self.direction}: {candidate}"

    @property
    def is_linear(self) -> bool:
        """Whether torch has the same tensor, to compare with its operators."""
        return self.features.layout is Layout.LINEAR


def measure(rounds: int) -> Findings:
    """Time every type, layout and direction at batches 8 and 16.

    Args:
        rounds: Rounds that count.

    Raises:
        BackendError: If there is no GPU for torch, or no plugin library.
    """
    doors = _open_doors()
    samples: Samples = {}
    subjects = make_subjects()
    for subject in subjects:
        sets = _tensor_sets(subject.features)
        turns = [
            _graph_turn(subject.label(name), sets, action)
            for name, action in _candidates(doors, subject).items()
        ]
        samples |= run_rounds(turns, rounds)
        del sets, turns  # before those of the next one are made: a Jetson has no room for both
        torch.cuda.empty_cache()
    return summarize(subjects, samples)


def make_subjects() -> tuple[Subject, ...]:
    """Return what is measured, in order."""
    directions: tuple[Direction, ...] = get_args(Direction)
    return tuple(
        Subject(FeatureMap((batch, *SHAPE), number_type, layout), direction)
        for batch, (number_type, layout), direction in product(BATCHES, KINDS, directions)
    )


def summarize(subjects: Sequence[Subject], samples: Samples) -> Findings:
    """Turn times into GB/s, ratios and goals."""
    ratios, goals, bandwidths = {}, [], {}
    limits = {COPY: COPY_GOAL, LOG_STEP: LOG_STEP_GOAL, CUMMAX: CUMMAX_GOAL}
    for subject in subjects:
        times = {name: samples.get(subject.label(name)) for name in (*limits, SUM, THREE_CALLS)}
        kernel = samples[subject.label(KERNEL)]
        moved = 2 * _bytes_of(subject.features)  # read once, written once
        bandwidths[subject.label(KERNEL)] = moved / spread_of(kernel).median / 1e6
        for name, limit in limits.items():
            if (other := times[name]) is not None:
                label = subject.label(f"times as fast as {name}")
                ratios[label] = ratio_of(other, kernel)
                goals.append(Goal(label, ratios[label].of_medians, Sense.AT_LEAST, limit))
        if (one := times[SUM]) is not None and (three := times[THREE_CALLS]) is not None:
            ratios[subject.label(f"{SUM}, times as fast as {THREE_CALLS}")] = ratio_of(three, one)
    settings = {"shape": list(SHAPE), "batches": list(BATCHES), "caches": CACHES}
    return Findings(settings, samples, ratios, tuple(goals), {"gigabytes_per_s": bandwidths})


def pool_by_log_step(source: Tensor, result: Tensor, direction: Direction) -> None:
    """Pool as CornerNet's original extension does: maxima over 2, 4, 8 ... cells, with copies."""
    walk = WALKS[direction]
    length = source.shape[walk.axis]
    result.copy_(source)
    step = 1
    while step < length:
        near = result.narrow(walk.axis, 0, length - step)
        far = result.narrow(walk.axis, step, length - step)
        torch.maximum(near.clone(), far.clone(), out=near if walk.from_end else far)
        step *= 2


def _open_doors() -> CornerPoolDoors:
    if not torch.cuda.is_available():
        raise BackendError(
            "torch sees no NVIDIA GPU; expected one to measure on; install torch with CUDA"
        )
    library = find_library()
    if library is None:
        raise BackendError("found no plugin library; expected one to measure; run: make plugins")
    return CornerPoolDoors(ctypes.CDLL(str(library)))


def _candidates(doors: CornerPoolDoors, subject: Subject) -> dict[str, Action]:
    """Return what takes turns, by name."""
    features, direction = subject.features, subject.direction
    candidates: dict[str, Action] = {
        COPY: lambda source, _, result: result.copy_(source),
        KERNEL: partial(_pool, doors, features, direction),
    }
    if subject.is_linear:
        candidates[LOG_STEP] = lambda source, _, result: pool_by_log_step(source, result, direction)
        axis = WALKS[direction].axis
        candidates[CUMMAX] = lambda source, *_: torch.cummax(source, axis)  # one way only
    if features.type is not NumberType.INT8 and direction == "top":
        candidates[SUM] = partial(_pool_sum, doors, features)
        candidates[THREE_CALLS] = partial(_pool_twice_and_add, doors, features)
    return candidates


def _pool(
    doors: CornerPoolDoors, features: FeatureMap, direction: Direction, *tensors: Tensor
) -> None:
    source, *_, result = tensors
    stream = torch.cuda.current_stream().cuda_stream
    _check(doors.pool(features, direction, source.data_ptr(), result.data_ptr(), stream))


def _pool_sum(
    doors: CornerPoolDoors, features: FeatureMap, source: Tensor, other: Tensor, result: Tensor
) -> None:
    stream = torch.cuda.current_stream().cuda_stream
    sides = ("top", source.data_ptr()), ("left", other.data_ptr())
    _check(doors.pool_sum(features, *sides, result.data_ptr(), stream))


def _pool_twice_and_add(
    doors: CornerPoolDoors, features: FeatureMap, source: Tensor, other: Tensor, result: Tensor
) -> None:
    pooled = torch.empty_like(result)
    _pool(doors, features, "top", source, result)
    _pool(doors, features, "left", other, pooled)
    result.add_(pooled)


def _check(code: int) -> None:
    if code != CUDA_SUCCESS:
        raise ArtifactError(
            f"corner pooling returned CUDA error {code}; expected kernels for this GPU; build "
            "them here: make plugins"
        )


def _bytes_of(features: FeatureMap) -> int:
    batch, channels, height, width = features.shape
    return batch * channels * height * width * DTYPES[features.type].itemsize


def _tensor_sets(features: FeatureMap) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Return what all candidates work on in turn, together larger than the cache."""
    cache_bytes = torch.cuda.get_device_properties(0).L2_cache_size
    count = max(2, -(-CACHES * cache_bytes // _bytes_of(features)))
    return [_random_tensors(features) for _ in range(count)]


def _graph_turn(label: str, sets: Sequence[tuple[Tensor, Tensor, Tensor]], action: Action) -> Turn:
    """Capture one pass over several sets of tensors; returns a turn that times it per set."""
    graph = torch.cuda.CUDAGraph()
    action(*sets[0])  # what happens only at first
    torch.cuda.synchronize()
    with torch.cuda.graph(graph):
        for tensors in sets:
            action(*tensors)

    def turn() -> dict[str, float]:
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        graph.replay()
        end.record()
        end.synchronize()
        return {label: start.elapsed_time(end) / len(sets)}

    return turn


def _random_tensors(features: FeatureMap) -> tuple[Tensor, Tensor, Tensor]:
    dtype = DTYPES[features.type]
    source, other = (
        torch.randint(-100, 100, features.shape, device="cuda").to(dtype) for _ in range(2)
    )
    return source, other, torch.empty_like(source)
