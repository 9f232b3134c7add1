"""What the GPU benchmark of corner pooling does without a GPU: its reference, labels and ratios."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch

from benchmarks import gpu_corner_pool
from benchmarks.gpu_corner_pool import (
    COPY,
    CUMMAX,
    KERNEL,
    LOG_STEP,
    SUM,
    THREE_CALLS,
    make_subjects,
    measure,
    pool_by_log_step,
    summarize,
)
from plugins.kernel_doors import FeatureMap, Layout, NumberType
from plugins.reference import Direction, corner_pool
from runtime.errors import BackendError


@pytest.mark.parametrize("direction", get_args(Direction))
@pytest.mark.parametrize("shape", [(1, 2, 1, 1), (2, 3, 7, 16), (1, 1, 33, 5)])
def test_the_original_computes_corner_pooling(direction: Direction, shape: tuple[int, ...]) -> None:
    source = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    result = torch.empty_like(source)
    pool_by_log_step(source, result, direction)
    np.testing.assert_array_equal(result.numpy(), corner_pool(source.numpy(), direction))


def test_every_type_layout_direction_and_batch_is_measured_once() -> None:
    subjects = make_subjects()
    assert len(subjects) == len({s.label(KERNEL) for s in subjects}) == 2 * 6 * 4
    assert {s.features.shape for s in subjects} == {(8, 128, 128, 128), (16, 128, 128, 128)}


def test_times_become_bandwidth_ratios_and_goals() -> None:
    features = FeatureMap((8, 128, 128, 128), NumberType.FLOAT)
    subject = gpu_corner_pool.Subject(features, "top")
    times = {COPY: 0.9, KERNEL: 1.0, LOG_STEP: 12.0, CUMMAX: 4.0, SUM: 1.5, THREE_CALLS: 3.0}
    samples = {subject.label(name): [value] * 7 for name, value in times.items()}
    findings = summarize([subject], samples)
    moved = 2 * 8 * 128**3 * 4  # bytes, in a millisecond
    bandwidth = findings.facts["gigabytes_per_s"][subject.label(KERNEL)]
    assert bandwidth == pytest.approx(moved / 1e-3 / 1e9)
    met = {goal.name.partition("as fast as ")[2]: goal.is_met for goal in findings.goals}
    assert met == {COPY: True, LOG_STEP: True, CUMMAX: False}
    assert [r.of_medians for r in findings.ratios.values()] == pytest.approx([0.9, 12, 4, 2])


def test_layouts_that_torch_lacks_are_compared_with_the_copy_alone() -> None:
    features = FeatureMap((8, 128, 128, 128), NumberType.INT8, Layout.CHW32)
    subject = gpu_corner_pool.Subject(features, "left")
    samples = {subject.label(COPY): [1.0] * 7, subject.label(KERNEL): [1.0] * 7}
    findings = summarize([subject], samples)
    assert len(findings.goals) == len(findings.ratios) == 1


def test_without_gpu_or_library_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BackendError, match="torch sees no NVIDIA GPU"):
        measure(7)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(gpu_corner_pool, "find_library", lambda: None)
    with pytest.raises(BackendError, match="make plugins"):
        measure(7)
