"""Weights and inputs made from names and seeds alone, so that golden outputs need no checkpoint.

The rule is the one the golden data was produced with: every tensor is drawn from a generator seeded
by its key in the original state dict. Scales are chosen so that activations stay of order one
through a hundred layers and every part of the network reaches the output.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Collection, Iterable

import numpy as np
import torch
from torch import Tensor, nn

HEAD_SCALE = 0.05
DEFORMABLE_SCALE = 2.0  # the kernel of a deformable convolution
RESIDUAL_SCALE = 0.3  # last normalisation of a residual block
FIRE_SCALE = 0.5  # last normalisation of a fire module


def draw_tensor(
    key: str, shape: tuple[int, ...], keys: Collection[str], head_scale: float = HEAD_SCALE
) -> np.ndarray:
    """Draw one tensor of a state dict.

    Args:
        key: Its name in the state dict, without the ``module.`` prefix.
        shape: Its shape.
        keys: All names of that state dict; they tell a normalisation from a convolution.
        head_scale: Factor of the last convolution of a head.

    Returns:
        float32, or an int64 zero for ``num_batches_tracked``.
    """
    module, leaf = key.rsplit(".", 1)
    if leaf == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "little")
    z = np.random.Generator(np.random.PCG64(seed)).standard_normal(shape)
    if f"{module}.running_mean" in keys:
        return _scale_normalisation(z, module, leaf, keys).astype(np.float32)
    if leaf == "bias":
        return (0.01 * z).astype(np.float32)
    # A transposed convolution channel by channel sums four products, whatever its kernel.
    is_depthwise_up = len(shape) == 4 and shape[1] == 1 and shape[2] % 2 == 0
    z *= math.sqrt(2 / (4 if is_depthwise_up else math.prod(shape[1:])))
    if f"{module}.conv_offset_mask.weight" in keys:
        z *= DEFORMABLE_SCALE
    is_prediction = shape[2:] == (1, 1) and f"{module}.bias" in keys
    if is_prediction and not module.endswith(".conv"):
        z *= head_scale
    return z.astype(np.float32)


def _scale_normalisation(
    z: np.ndarray, module: str, leaf: str, keys: Collection[str]
) -> np.ndarray:
    """Turn normal numbers into one tensor of a batch normalisation."""
    if leaf in ("running_mean", "bias"):
        return 0.1 * z
    if leaf == "running_var":
        return 1 + 0.1 * np.abs(z)
    weight = 1 + 0.1 * z
    block = module.removesuffix(".bn2")
    if block == module:
        return weight
    if f"{block}.conv_1x1.weight" in keys:
        return FIRE_SCALE * weight
    return RESIDUAL_SCALE * weight if f"{block}.conv1.weight" in keys else weight


def draw_state(
    shapes: Iterable[tuple[str, tuple[int, ...]]], head_scale: float = HEAD_SCALE
) -> dict[str, Tensor]:
    """Draw a whole state dict from its (key, shape) pairs."""
    pairs = list(shapes)
    keys = {key for key, _ in pairs}
    return {
        key: torch.from_numpy(draw_tensor(key, shape, keys, head_scale)) for key, shape in pairs
    }


def build_filled(build: Callable[[], nn.Module]) -> nn.Module:
    """Build a network and fill it, in evaluation mode; its own initialisation is skipped."""
    with torch.device("meta"):
        model = build()
    shapes = [(key, tuple(value.shape)) for key, value in model.state_dict().items()]
    model.load_state_dict(draw_state(shapes), assign=True)
    return model.eval()


def draw_images(seed: int, shape: tuple[int, ...]) -> Tensor:
    """Draw a normalised float32 batch (N, 3, H, W)."""
    generator = np.random.Generator(np.random.PCG64(seed))
    return torch.from_numpy(generator.standard_normal(shape).astype(np.float32))
