"""What every network of the registry computes and weighs, without weights and within a second.

The networks run on torch's "meta" device: shapes go through, no number is computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn

from detectors.registry import build_detector


@dataclass(frozen=True)
class NetworkSize:
    """Totals of one network.

    Attributes:
        multiply_adds: Of its convolutions, for one frame.
        weight_elements: Weights of the layers that run; their biases, below 1 %, are left out.
        frame_bytes: One frame of uint8; the few kilobytes of detections are left out.
    """

    multiply_adds: int
    weight_elements: int
    frame_bytes: int


def measure_family_member(
    name: str, size_hw: tuple[int, int], num_classes: int = 80
) -> NetworkSize:
    """Count a network for one frame.

    Args:
        name: A key of the detector registry.
        size_hw: Height and width of the frame; they fit the network.
        num_classes: Number of classes.

    Raises:
        UsageError: If no network has this name.
    """
    with torch.device("meta"):
        network = build_detector(name, num_classes).eval()
        images = torch.zeros(1, 3, *size_hw)
    operations, weights = 0, dict[int, int]()

    def note(module: nn.Module, inputs: tuple[Tensor, ...], result: Tensor) -> None:
        nonlocal operations
        # As in operation_counts: what a transposed convolution reads meets its weights.
        spread = isinstance(module, nn.ConvTranspose2d)
        per_value = prod(module.weight.shape[1:])
        operations += (inputs[0] if spread else result).numel() * per_value
        weights[id(module)] = module.weight.numel()

    for module in network.modules():
        weight = getattr(module, "weight", None)
        if isinstance(weight, Tensor) and weight.ndim > 1:  # of normalisation it has one dimension
            module.register_forward_hook(note)
    with torch.no_grad():
        network(images)
    return NetworkSize(operations, sum(weights.values()), 3 * size_hw[0] * size_hw[1])
