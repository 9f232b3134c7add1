"""Every detector by name: how to build it, and what it needs to be fed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from detectors.centernet import (
    centernet_dla34,
    centernet_dla34_dcn,
    centernet_hourglass104,
    centernet_resdcn18,
    centernet_resnet18,
    centernet_resnet18_mmdetection,
)
from detectors.centernet_nano import CenterNetNano
from detectors.cornernet import cornernet_hourglass104
from detectors.cornernet_nano import CornerNetNano
from detectors.cornernet_saccade import CornerNetSaccade
from detectors.cornernet_squeeze import cornernet_squeeze
from detectors.families import CENTERNET, CORNERNET, Family
from runtime.contract import ATTENTION_NAMES, AnyDecodeParams, CenterDecodeParams, DecodeParams
from runtime.errors import UsageError

# BGR statistics of COCO in [0, 1], from the published CornerNet configurations.
COCO_MEAN_BGR = (0.40789654, 0.44719302, 0.47026115)
COCO_STD_BGR = (0.28863828, 0.27408164, 0.27809835)


@dataclass(frozen=True)
class DetectorSpec:
    """One detector of the registry.

    Attributes:
        build: Takes the number of classes, returns the network in training mode.
        family: What its maps are, how they become boxes and how it learns.
        stride_px: Input pixels per heatmap cell.
        default_size_hw: Input size when the user names none.
        size_divisor: Height and width plus ``size_remainder`` must be divisible by this.
        size_remainder: 1 for the published CornerNets (511 + 1 = 512), 0 for nano.
        decode: Default decoding parameters.
        mean_bgr: Mean subtracted from pixels in [0, 1].
        std_bgr: Divisor after that.
        attention_names: Maps beside those of the family that say where to look closer; detectors
            that have them are run by ``runtime.saccade``.
    """

    build: Callable[[int], nn.Module]
    family: Family
    stride_px: int
    default_size_hw: tuple[int, int]
    size_divisor: int
    size_remainder: int
    decode: AnyDecodeParams
    mean_bgr: tuple[float, float, float] = COCO_MEAN_BGR
    std_bgr: tuple[float, float, float] = COCO_STD_BGR
    attention_names: tuple[str, ...] = ()

    @property
    def map_names(self) -> tuple[str, ...]:
        """The network's raw maps."""
        return self.family.map_names


def _centernet(build: Callable[[int], nn.Module], size_divisor: int = 32) -> DetectorSpec:
    """Describe a published CenterNet; all are tested at 512x512 and keep 100 boxes."""
    decode = CenterDecodeParams(100, 3)
    return DetectorSpec(build, CENTERNET, 4, (512, 512), size_divisor, 0, decode)


# Weights that come with the repository.
SHIPPED_WEIGHTS = {
    "cornernet-nano": Path(__file__).parent / "weights" / "cornernet-nano.safetensors"
}

# Decoding of the published networks: the test settings of their released configurations.
DETECTORS: dict[str, DetectorSpec] = {
    "cornernet-hourglass104": DetectorSpec(
        cornernet_hourglass104, CORNERNET, 4, (511, 511), 128, 1, DecodeParams(100, 3, 0.5, 1000)
    ),
    "cornernet-squeeze": DetectorSpec(
        cornernet_squeeze, CORNERNET, 8, (511, 511), 128, 1, DecodeParams(20, 3, 0.5, 100)
    ),
    "cornernet-saccade": DetectorSpec(
        CornerNetSaccade,
        CORNERNET,
        4,
        (255, 255),
        32,
        1,
        DecodeParams(12, 3, 0.3, 12, drop_border=True),
        attention_names=ATTENTION_NAMES,
    ),
    "cornernet-nano": DetectorSpec(
        CornerNetNano, CORNERNET, 4, (320, 320), 32, 0, DecodeParams(50, 3, 0.5, 100, "geometric")
    ),
    "centernet-nano": DetectorSpec(
        CenterNetNano, CENTERNET, 4, (320, 320), 32, 0, CenterDecodeParams(100, 3)
    ),
    "centernet-hourglass104": _centernet(centernet_hourglass104, size_divisor=128),
    "centernet-dla34": _centernet(centernet_dla34),
    "centernet-dla34-dcn": _centernet(centernet_dla34_dcn),
    "centernet-resnet18": _centernet(centernet_resnet18),
    "centernet-resdcn18": _centernet(centernet_resdcn18),
    "centernet-resnet18-mmdetection": _centernet(centernet_resnet18_mmdetection),
}


def find_spec(name: str) -> DetectorSpec:
    """Return the spec of a detector.

    Raises:
        UsageError: If no detector has this name; lists those that exist.
    """
    if name not in DETECTORS:
        raise UsageError(f"unknown model {name!r}; expected one of {', '.join(sorted(DETECTORS))}")
    return DETECTORS[name]


def build_detector(name: str, num_classes: int = 80) -> nn.Module:
    """Build a detector with fresh weights, in training mode.

    ``model(images)`` takes normalised float32 (N, 3, H, W). In evaluation mode it returns a dict of
    raw maps, heatmaps as logits, of the last stack; in training mode a list of such dicts, one per
    stack. Their keys are the spec's ``map_names``, then its ``attention_names``.

    Args:
        name: A key of ``DETECTORS``.
        num_classes: Number of object classes.

    Returns:
        The network, in training mode.

    Raises:
        UsageError: If no detector has this name.
    """
    return find_spec(name).build(num_classes)


def check_size(name: str, size_hw: tuple[int, int]) -> None:
    """Refuse an input size that the network's strides cannot carry.

    Raises:
        UsageError: If height or width does not fit; names the nearest size that does.
    """
    spec = find_spec(name)
    for label, size in zip(("height", "width"), size_hw, strict=True):
        if size < 1 or (size + spec.size_remainder) % spec.size_divisor:
            steps = max(1, round((size + spec.size_remainder) / spec.size_divisor))
            nearest = steps * spec.size_divisor - spec.size_remainder
            raise UsageError(
                f"{name} got {label} {size}; expected a multiple of {spec.size_divisor}"
                f"{f' less {spec.size_remainder}' if spec.size_remainder else ''}; "
                f"use {nearest}"
            )
