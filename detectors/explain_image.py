"""One image through a network, with everything that its boxes were made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from detectors.explain_corners import Pair, Pairing, pair_corners
from detectors.explain_failures import Failures, Objects, find_failures
from detectors.explain_pools import PoolView, view_pools, watch
from detectors.predict import LetterboxPredictor, NetworkRunner
from detectors.registry import DetectorSpec
from runtime.detections import Detections
from runtime.geometry import Letterbox
from runtime.postprocess import PostprocessOptions


@dataclass(frozen=True)
class Placement:
    """Where the heatmap's cells lie on the image.

    Attributes:
        letterbox: How the image was placed on the network's canvas.
        cells_hw: Rows and columns of the heatmaps.
    """

    letterbox: Letterbox
    cells_hw: tuple[int, int]

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom and top edge of the whole heatmap in image pixels, unclipped."""
        (top, left), (scale_y, scale_x) = self.letterbox.offset_yx, self.letterbox.scale_yx
        height, width = self.letterbox.network_hw
        return -left / scale_x, (width - left) / scale_x, (height - top) / scale_y, -top / scale_y

    def to_image(self, boxes_cells: np.ndarray | Sequence[float]) -> np.ndarray:
        """Map boxes (..., 4) from cells to image pixels, clipped to the image; float32."""
        # In float32, as the predictor scales its boxes.
        return self.letterbox.to_image(np.asarray(boxes_cells, np.float32) * self._cell_xyxy())

    def to_cells(self, boxes_xyxy: np.ndarray) -> np.ndarray:
        """Map boxes (..., 4) from image pixels to cells; float64."""
        return self.letterbox.to_network(boxes_xyxy) / self._cell_xyxy()

    def _cell_xyxy(self) -> np.ndarray:
        """Return a cell's width and height in network pixels, twice."""
        (height, width), (rows, columns) = self.letterbox.network_hw, self.cells_hw
        return np.array([width / columns, height / rows] * 2, np.float32)


@dataclass(frozen=True)
class ShownBox:
    """A box that the network's user sees, and the pair that it was made of.

    Attributes:
        pair: Its two corners.
        box_xyxy: Left, top, right and bottom in image pixels.
        score: Score after soft-NMS.
    """

    pair: Pair
    box_xyxy: tuple[float, float, float, float]
    score: float

    @property
    def class_id(self) -> int:
        """Class of both corners."""
        return self.pair.top_left.class_id


@dataclass(frozen=True)
class Truth:
    """What an image's annotation says, with the network's class ids.

    Attributes:
        boxes_xyxy: float64 (n, 4), in image pixels.
        class_ids: int64 (n,).
    """

    boxes_xyxy: np.ndarray
    class_ids: np.ndarray


@dataclass(frozen=True)
class Explanation:
    """All that the pictures and the JSON file are made from.

    Attributes:
        image: uint8 (H, W, 3), BGR.
        class_names: Names by class id.
        placement: From heatmap cells to image pixels.
        heat: The heatmaps after the sigmoid, "tl" and "br", float32 (classes, h, w).
        pools: One channel of every corner pool.
        pairing: The corners, and every test on every two.
        shown: The boxes, best first.
        failures: What went wrong.
        score_threshold: Score from which boxes are shown and corners are called strong.
        embedding_limit: Largest distance between the embeddings of a pair.
        truth: The annotation, if there is one.
    """

    image: np.ndarray
    class_names: tuple[str, ...]
    placement: Placement
    heat: Mapping[str, np.ndarray]
    pools: tuple[PoolView, ...]
    pairing: Pairing
    shown: tuple[ShownBox, ...]
    failures: Failures
    score_threshold: float
    embedding_limit: float
    truth: Truth | None


@dataclass(frozen=True)
class Detector:
    """A network and what is needed to feed it.

    Attributes:
        network: A CornerNet with its weights.
        spec: Its entry in the registry.
        size_hw: Height and width of its input, in pixels.
        class_names: Names by class id.
    """

    network: nn.Module
    spec: DetectorSpec
    size_hw: tuple[int, int]
    class_names: tuple[str, ...]


def explain_image(
    image: np.ndarray, detector: Detector, score_threshold: float, truth: Truth | None = None
) -> Explanation:
    """Detect on an image and keep what led to the result.

    The boxes are those of ``detectors.predict``: the network is watched while it predicts.

    Args:
        image: uint8 (H, W, 3), BGR.
        detector: The network.
        score_threshold: Lowest score of a box shown, in [0, 1].
        truth: The annotation, if there is one.

    Raises:
        UsageError: If the network predicts no corners.
    """
    options = PostprocessOptions(score_threshold=score_threshold)
    # One look at the whole image, also for a network that otherwise looks closer afterwards.
    run = NetworkRunner(detector.network, detector.spec)
    predict = LetterboxPredictor(run, detector.size_hw, options)
    with watch(detector.network) as seen:
        found = predict(image)
    decode = detector.spec.decode
    letterbox = Letterbox.fit(image.shape[:2], detector.size_hw)
    placement = Placement(letterbox, tuple(seen.maps["tl_heat"].shape[2:]))
    pairing = pair_corners(seen.maps, decode)
    shown = shown_boxes(found, pairing.pairs(decode.num_dets), placement)
    objects = None
    if truth is not None:
        objects = Objects(placement.to_cells(truth.boxes_xyxy), truth.class_ids)
    strong = [
        corner
        for corner in (*pairing.top_left, *pairing.bottom_right)
        if corner.score >= score_threshold
    ]
    return Explanation(
        image=image,
        class_names=detector.class_names,
        placement=placement,
        heat={
            kind: seen.maps[f"{kind}_heat"][0].float().sigmoid().cpu().numpy()
            for kind in ("tl", "br")
        },
        pools=view_pools(seen, strong),
        pairing=pairing,
        shown=shown,
        failures=find_failures(pairing, [box.pair for box in shown], score_threshold, objects),
        score_threshold=score_threshold,
        embedding_limit=decode.ae_threshold,
        truth=truth,
    )


def shown_boxes(
    found: Detections, pairs: Sequence[Pair], placement: Placement
) -> tuple[ShownBox, ...]:
    """Say of which pair each detection was made; soft-NMS changes scores and never boxes.

    Args:
        found: What the predictor returned, best first.
        pairs: The decoder's pairs, best first.
        placement: How their cells lie on the image.
    """
    boxes = placement.to_image(np.array([pair.box_cells for pair in pairs]).reshape(-1, 4))
    classes = np.array([pair.top_left.class_id for pair in pairs])
    shown = []
    for box, score, class_id in zip(found.boxes_xyxy, found.scores, found.class_ids, strict=True):
        away = np.where(classes == class_id, np.abs(boxes - box).max(axis=1), np.inf)
        pair = pairs[int(away.argmin())]
        shown.append(ShownBox(pair, tuple(box.tolist()), float(score)))
    return tuple(shown)
