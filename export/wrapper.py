"""The exported view of a detector: camera frames in, detections out.

The detector itself stays free of export code; these modules wrap it for tracing.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from detectors.families import find_family
from runtime.contract import AnyDecodeParams

BATCH = "N"


@dataclass(frozen=True)
class Normalisation:
    """How pixels become the network's input: ``(pixel / 255 - mean_bgr) / std_bgr``."""

    mean_bgr: tuple[float, float, float]
    std_bgr: tuple[float, float, float]


class NormaliseFrames(nn.Module):  # type: ignore[misc]
    """Turn camera frames into the network's input.

    Args:
        normalisation: Mean and standard deviation per channel, pixels in [0, 1].
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, normalisation: Normalisation) -> None:
        super().__init__()
        mean = torch.tensor(normalisation.mean_bgr, dtype=torch.float64)
        std = torch.tensor(normalisation.std_bgr, dtype=torch.float64)
        self.register_buffer("scale", (1 / (255 * std)).float().view(1, 3, 1, 1))
        self.register_buffer("shift", (-mean / std).float().view(1, 3, 1, 1))

    def forward(self, frames: Tensor) -> Tensor:
        """Map uint8 (N, H, W, 3) to normalised float32 (N, 3, H, W)."""
        # TensorRT refuses to transpose uint8: convert first.
        return frames.float().permute(0, 3, 1, 2) * self.scale + self.shift


class DeployModule(nn.Module):  # type: ignore[misc]
    """Frames to detections in network pixels, and to the raw maps.

    Args:
        detector: Takes normalised images, returns a dict of raw maps.
        normalisation: What the detector was trained with.
        decode: How its raw maps become boxes; of the class of its family.
        attention_names: Maps of the detector that say where to look closer.

    Attributes:
        map_names: The raw maps.
        output_names: What ``forward`` returns, in order.
    """

    def __init__(
        self,
        detector: nn.Module,
        normalisation: Normalisation,
        decode: AnyDecodeParams,
        attention_names: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self.normalise = NormaliseFrames(normalisation)
        self.detector = detector
        self.decode = DecodeMaps(decode)
        self.attention = AttentionScores(attention_names)
        family = self.decode.family
        self.map_names = family.map_names
        self.output_names = (*family.detection_names, *family.map_names, *attention_names)

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        """Map uint8 (N, H, W, 3) to detections and the maps they came from.

        Returns:
            What ``DecodeMaps.forward`` returns, then the raw maps in the family's order:
            the exporter keeps either group as the graph's outputs. Last, and always kept, the
            attention maps in [0, 1].
        """
        height, width = frames.shape[1:3]
        maps = self.detector(self.normalise(frames))
        raw = (maps[name] for name in self.map_names)
        return *self.decode(maps, height, width), *raw, *self.attention(maps)


class DecodeMaps(nn.Module):  # type: ignore[misc]
    """Raw maps to detections; a module of its own, so that its nodes can be told by name.

    Args:
        decode: How maps become boxes; names the family.

    Attributes:
        params: ``decode``.
        family: What the maps are.
    """

    def __init__(self, decode: AnyDecodeParams) -> None:
        super().__init__()
        self.params, self.family = decode, find_family(decode.family)

    def forward(self, maps: dict[str, Tensor], height_px: int, width_px: int) -> tuple[Tensor, ...]:
        """Decode the maps of one batch.

        Args:
            maps: The family's raw maps by name, each (N, C, h, w).
            height_px: Height of the network's input.
            width_px: Width of the network's input.

        Returns:
            What the family's ``detection_names`` say: ``boxes`` float32 (N, D, 4) left, top,
            right, bottom in network pixels; ``scores`` float32 (N, D), -1 where a row is empty;
            ``class_ids`` int32 (N, D); of CornerNets ``corner_scores`` float32 (N, D, 2) of the
            top-left and the bottom-right corner.
        """
        rows = self.family.decode(maps, self.params)
        # Not the stride: 511 pixels become 128 cells, and the published boxes are scaled by
        # exactly 511 / 128.
        cells_high, cells_wide = maps[self.family.map_names[0]].shape[2:]
        scale_y, scale_x = height_px / cells_high, width_px / cells_wide
        scale = rows.new_tensor([scale_x, scale_y, scale_x, scale_y])
        last = rows.shape[2] - 1  # the class; what lies behind the score is the family's own
        found = (rows[..., :4] * scale, rows[..., 4], rows[..., last].int())
        return found if last == 5 else (*found, rows[..., 5:last])


class AttentionScores(nn.Module):  # type: ignore[misc]
    """Attention logits to scores; a module of its own, so that its nodes stay single precision.

    Args:
        names: Of the maps, in the order of the result.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__()
        self.names = names

    def forward(self, maps: dict[str, Tensor]) -> list[Tensor]:
        """Map logits (N, 1, h, w) to float32 scores in [0, 1] of the same shape."""
        return [maps[name].float().sigmoid() for name in self.names]
