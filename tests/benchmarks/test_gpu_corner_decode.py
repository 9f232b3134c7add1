"""What the GPU benchmark of decoding does without a GPU: its calls, maps and goals."""

from __future__ import annotations

import contextlib
import gc
import weakref
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from benchmarks import gpu_corner_decode
from benchmarks.common import Turn
from benchmarks.gpu_corner_decode import (
    KERNELS,
    MAPS,
    TORCH,
    Maps,
    _graph_turn,
    decode_call,
    measure,
    random_maps,
    summarize,
)
from detectors.decode import decode_corners
from detectors.families import CORNERNET
from detectors.registry import DETECTORS, find_spec
from runtime.errors import BackendError


def test_every_network_is_measured_as_it_decodes() -> None:
    # The kernels know no rule for boxes at the border.
    cornernets = {n: spec for n, spec in DETECTORS.items() if spec.family is CORNERNET}
    assert MAPS.keys() == {n for n, spec in cornernets.items() if not spec.decode.drop_border}
    for model in MAPS:
        call, params = decode_call(model), find_spec(model).decode
        assert (call.top_k, call.num_dets) == (params.top_k, params.num_dets)
        assert (call.nms_kernel, call.ae_threshold) == (params.nms_kernel, params.ae_threshold)
        assert call.pair_score == params.pair_score


def test_the_maps_can_be_decoded_and_give_pairs() -> None:
    call = decode_call("cornernet-nano")
    rows = decode_corners(random_maps(call, "cpu"), call.top_k, 3, call.ae_threshold, 100)
    assert (rows[..., 4] > 0).any()


def test_times_become_ratios_and_goals() -> None:
    samples = {f"{model}: {KERNELS}": [0.1] * 7 for model in MAPS}
    samples |= {f"{model}: {TORCH}": [0.4] * 7 for model in MAPS}
    samples[f"cornernet-nano: {TORCH}"] = [0.05] * 7
    findings = summarize(samples)
    assert [goal.is_met for goal in findings.goals] == [True, True, True, False]
    ratios = [ratio.of_medians for ratio in findings.ratios.values()]
    assert ratios == pytest.approx([4, 4, 0.5])


@pytest.mark.parametrize("milliseconds", [0.15, 0.16])
def test_the_largest_maps_have_a_limit(milliseconds: float) -> None:
    samples = {
        f"{model}: {name}": [milliseconds] * 7 for model in MAPS for name in (KERNELS, TORCH)
    }
    assert summarize(samples).goals[0].is_met == (milliseconds == 0.15)


def test_the_memory_of_a_recorded_graph_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph does not hold the tensors that it reads and writes."""
    replays: list[None] = []
    graph = SimpleNamespace(replay=lambda: replays.append(None))
    event = SimpleNamespace(
        record=lambda: None, synchronize=lambda: None, elapsed_time=lambda other: 8.0
    )
    fakes = {
        "CUDAGraph": lambda: graph,
        "graph": lambda graph: contextlib.nullcontext(),
        "synchronize": lambda: None,
        "Event": lambda enable_timing: event,
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    monkeypatch.setattr(gpu_corner_decode, "random_maps", lambda call, device: {})

    def make_turn() -> tuple[Turn, weakref.ref[Any]]:
        def action(maps: Maps) -> None:
            pass

        return _graph_turn("x", decode_call("cornernet-nano"), action), weakref.ref(action)

    turn, action = make_turn()
    gc.collect()
    assert action() is not None
    assert turn() == {"x": 1.0} and len(replays) == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_it_says_so() -> None:
    with pytest.raises(BackendError, match="torch sees no NVIDIA GPU"):
        measure(7)
