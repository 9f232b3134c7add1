"""What tells one family of detectors from another: its maps, how they become boxes, how it learns.

Everything else asks here, so that a third family is a third ``Family`` beside its own modules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from detectors.centernet_decode import decode_centers_as
from detectors.centernet_heads import CENTER_MAP_NAMES
from detectors.centernet_losses import centernet_loss
from detectors.centernet_targets import CenterTargetSpec
from detectors.decode import decode_as
from detectors.losses import LossWeights, cornernet_loss
from detectors.targets import TargetSpec
from runtime.contract import BOX_NAMES, DETECTION_NAMES, MAP_NAMES, CenterDecodeParams, DecodeParams
from runtime.errors import UsageError

Outputs = Sequence[Mapping[str, Tensor]]
Loss = Callable[[Outputs, Mapping[str, Tensor], LossWeights], dict[str, Tensor]]


class TargetBuilder(Protocol):
    """Makes what a network is trained against."""

    def build(self, boxes_xyxy: np.ndarray, class_ids: np.ndarray) -> dict[str, np.ndarray]:
        """Build the targets of one image from boxes (n, 4) in network pixels and their classes."""
        ...


@dataclass(frozen=True)
class Family:
    """One family of detectors.

    Attributes:
        name: As in the contract; that of the class of its decode parameters.
        map_names: The raw maps of its networks.
        heat_names: Those of them that are class heatmaps, as logits.
        detection_names: The outputs of its exported graphs: ``BOX_NAMES``, and what else lies
            between score and class in the rows of ``decode``.
        decode: Takes raw maps (N, C, h, w) of any float type by name, and parameters of the
            family's class. Gives float32 (N, D, 6 or more), best first: x1, y1, x2, y2 in heatmap
            cells, score, what else the family tells of a box, class id. A row with score -1 is
            empty. Static shapes and plain tensor operators only: it is traced into the graph.
        targets: Takes the number of classes, and height and width of the network's input in pixels
            and of its heatmaps in cells.
        loss: Takes the raw maps of every stack, a batch's targets and the weights of the parts;
            returns named scalars, ``total`` among them.
        takes_published_test: Whether ``--protocol published``, the test of the CornerNets, is
            its own too.
    """

    name: str
    map_names: tuple[str, ...]
    heat_names: tuple[str, ...]
    detection_names: tuple[str, ...]
    decode: Callable[[Mapping[str, Tensor], Any], Tensor]
    targets: Callable[[int, tuple[int, int], tuple[int, int]], TargetBuilder]
    loss: Loss
    takes_published_test: bool = False


CORNERNET = Family(
    DecodeParams.family,
    MAP_NAMES,
    ("tl_heat", "br_heat"),
    DETECTION_NAMES,
    decode_as,
    TargetSpec,
    cornernet_loss,
    takes_published_test=True,
)
CENTERNET = Family(
    CenterDecodeParams.family,
    CENTER_MAP_NAMES,
    ("hm",),
    BOX_NAMES,
    decode_centers_as,
    CenterTargetSpec,
    centernet_loss,
)
FAMILIES = {family.name: family for family in (CORNERNET, CENTERNET)}


def find_family(name: str) -> Family:
    """Return the family of a contract or of decode parameters.

    Raises:
        UsageError: If no family has this name; lists those that exist.
    """
    if name not in FAMILIES:
        raise UsageError(f"unknown family {name!r}; expected one of {', '.join(FAMILIES)}")
    return FAMILIES[name]
