"""The same weights, decoded in other ways: without the embeddings, without the offsets.

Nothing is trained here. A variant changes the decoder's parameters, or the maps that it reads.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from detectors.dataset import CocoSet
from detectors.evaluate import EVALUATION_OPTIONS, evaluate
from detectors.gaussian import gaussian_radius
from detectors.predict import Predictor, predictor_from_network
from detectors.registry import find_spec
from runtime.detections import Detections
from runtime.postprocess import PostprocessOptions

# Largest embedding distance of a pair, by its name in the tables. Shapes' networks use 0.5, as
# published; "none" pairs by class, position and score alone.
AE_THRESHOLDS: Mapping[str, float] = {
    "0.25": 0.25,
    "0.5": 0.5,
    "1": 1.0,
    "2": 2.0,
    "none": math.inf,
}
# What the decoder reads as the offset of every corner, in cells; None leaves the prediction.
OFFSETS: Mapping[str, float | None] = {"predicted": None, "cell centre": 0.5, "zero": 0.0}

# Boxes that a viewer would be shown; wrong pairs are counted among these.
SHOWN_SCORE = PostprocessOptions().score_threshold
# A corner belongs to an object if a box with both corners that far off overlaps it by this much.
CORNER_OVERLAP = 0.7
MIN_CORNER_RADIUS_PX = 4.0


@dataclass(frozen=True)
class Candidate:
    """A network with weights, at the size it is run.

    Attributes:
        network: The network.
        model: Its name in the registry.
        size_hw: Height and width of its input, in pixels.
    """

    network: nn.Module
    model: str
    size_hw: tuple[int, int]


class FixedOffsets(nn.Module):
    """A network whose predicted offsets are replaced.

    Args:
        network: Any CornerNet of the registry, in evaluation mode.
        offset: What takes their place, in cells.
    """

    def __init__(self, network: nn.Module, offset: float) -> None:
        super().__init__()
        self.network = network
        self.offset = offset

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return the network's maps with constant ``tl_off`` and ``br_off``."""
        maps = self.network(images)
        names = ("tl_off", "br_off")
        return {**maps, **{name: torch.full_like(maps[name], self.offset) for name in names}}


class Recorder:
    """A predictor that remembers what it found.

    Args:
        predict: Does the work.
    """

    def __init__(self, predict: Predictor) -> None:
        self.predict = predict
        self.found: list[Detections] = []

    def __call__(self, image: np.ndarray) -> Detections:
        """Find objects on one image."""
        self.found.append(self.predict(image))
        return self.found[-1]


def predictor_with_threshold(candidate: Candidate, ae_threshold: float) -> Predictor:
    """Return a predictor that pairs corners up to the given distance of their embeddings."""
    spec = find_spec(candidate.model)
    decode = dataclasses.replace(spec.decode, ae_threshold=ae_threshold)
    return predictor_from_network(
        candidate.network,
        dataclasses.replace(spec, decode=decode),
        candidate.size_hw,
        EVALUATION_OPTIONS,
    )


def predictor_with_offsets(candidate: Candidate, offset: float | None) -> Predictor:
    """Return a predictor that adds ``offset`` to every corner's cell; None adds the predicted."""
    network = candidate.network if offset is None else FixedOffsets(candidate.network, offset)
    spec = find_spec(candidate.model)
    return predictor_from_network(network, spec, candidate.size_hw, EVALUATION_OPTIONS)


def pairing_rows(candidate: Candidate, coco: CocoSet) -> list[dict[str, Any]]:
    """Evaluate every threshold of ``AE_THRESHOLDS``: AP, boxes shown, and wrong pairs of them."""
    rows = []
    for name, threshold in AE_THRESHOLDS.items():
        recorder = Recorder(predictor_with_threshold(candidate, threshold))
        result = evaluate(coco, recorder)
        shown = wrong = 0
        for example, found in zip(coco.examples, recorder.found, strict=True):
            seen = found.above(SHOWN_SCORE)
            shown += len(seen)
            wrong += int(wrong_pairs(seen, example.boxes_xyxy, example.class_ids).sum())
        rows.append(
            {
                "ae_threshold": name,
                "shown": shown,
                "wrong_pairs": wrong,
                **dataclasses.asdict(result),
            }
        )
    return rows


def offset_rows(candidate: Candidate, coco: CocoSet) -> list[dict[str, Any]]:
    """Evaluate every choice of ``OFFSETS``."""
    return [
        {
            "offsets": name,
            **dataclasses.asdict(evaluate(coco, predictor_with_offsets(candidate, offset))),
        }
        for name, offset in OFFSETS.items()
    ]


def wrong_pairs(found: Detections, boxes_xyxy: np.ndarray, class_ids: np.ndarray) -> np.ndarray:
    """Say which boxes join the corners of two different objects.

    Such a box has a top-left corner that belongs to an annotated object of its class, a
    bottom-right corner that belongs to one, and no object that both belong to.

    Args:
        found: Boxes in pixels of the image.
        boxes_xyxy: Float (n, 4), the annotated objects.
        class_ids: Integers (n,), their classes.

    Returns:
        bool, one value per box of ``found``.
    """
    sizes = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).tolist()
    radii = np.array([gaussian_radius(h, w, CORNER_OVERLAP) for w, h in sizes], np.float64)
    radii = np.maximum(radii, MIN_CORNER_RADIUS_PX)
    away = (found.boxes_xyxy[:, None] - boxes_xyxy[None]).reshape(len(found), len(boxes_xyxy), 2, 2)
    near = np.hypot(away[..., 0], away[..., 1]) <= radii[None, :, None]
    near &= (found.class_ids[:, None] == class_ids[None])[..., None]
    return near.any(axis=1).all(axis=1) & ~near.all(axis=2).any(axis=1)
