"""Pixels as the networks want them."""

from __future__ import annotations

import torch
from torch import Tensor

from detectors.registry import DetectorSpec


def normalise(images: Tensor, spec: DetectorSpec) -> Tensor:
    """Map uint8 (N, H, W, 3) BGR to normalised float32 (N, 3, H, W), channels last in memory."""
    mean, std = (torch.tensor(v, device=images.device) for v in (spec.mean_bgr, spec.std_bgr))
    count, height, width, channels = images.shape
    # Whole lines of pixels, in place: a fifth of the time of operations on three values at a time.
    lines = images.reshape(count, height, width * channels).float().div_(255)
    lines.sub_(mean.repeat(width)).div_(std.repeat(width))
    return lines.view(count, height, width, channels).permute(0, 3, 1, 2)
