"""Plans for the tests of training with fake quantization."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any

import torch
from torch import nn

from detectors.fake_quantize_layers import FrozenBatchNorm
from detectors.int8_plan import ConvolutionScales, Int8Plan, write_plan
from detectors.network_facts import find_facts
from detectors.registry import build_detector


def empty_plan(**changes: Any) -> Int8Plan:
    """Return a plan that rounds nothing but what ``changes`` say."""
    plan = Int8Plan("cornernet-nano", "0" * 64, {}, {}, {}, {}, {}, {})
    return dataclasses.replace(plan, **changes)


def first_nano() -> nn.Module:
    """Return a nano with the first weights of seed 3."""
    torch.manual_seed(3)
    return build_detector("cornernet-nano", 6)


@functools.cache
def nano_plan() -> Int8Plan:
    """Return a plan that rounds some of everything in a nano, with grids for ``first_nano()``."""
    network = first_nano()
    paths = ["stem.1.conv", "hourglass.low1.0.conv1", "tl_module.p_conv1", "heads.tl_heat.0.conv"]
    return empty_plan(
        convolutions={path: _scales(network, path) for path in paths},
        modules={"tl_module.pool1": 0.05, "hourglass.up2": 0.04},
        additions={"hourglass.low1.0/Add": (None, 0.05), "tl_module/Add_1": (0.06, None)},
        thresholds={"stem.0.relu/Relu": 5.0},
        left_float={"stem.0.conv/Conv": "stem"},
    )


def write_nano_plan(path: Path, **changes: Any) -> Path:
    """Write that plan; returns ``path``."""
    write_plan(dataclasses.replace(nano_plan(), **changes), path)
    return path


def _scales(network: nn.Module, path: str) -> ConvolutionScales:
    """Return scales that the largest weight of each output channel just fits, as folded."""
    weight = network.get_submodule(path).weight.detach()
    part = find_facts(network).norms.get(path)
    if part is not None:
        factor = FrozenBatchNorm(network.get_submodule(part.norm)).factor()
        weight = weight * factor[part.first : part.first + part.channels].view(-1, 1, 1, 1)
    peaks = weight.abs().amax(dim=(1, 2, 3))
    return ConvolutionScales(0.03, tuple((peaks / 127).tolist()))
