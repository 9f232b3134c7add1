"""CornerNet-Saccade's two looks at an image: small and whole first, then closely where it matters.

One network does both. The first look sees the image scaled down, once so that it fills the
network's input and once somewhat smaller; attention maps and boxes say where to look closer. The
second look sees crops at those places. Boxes of both are merged.

Source: Law et al., "CornerNet-Lite", arXiv:1904.08900, section 3; numbers as in the published
configuration.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from runtime.attention import (
    Seen,
    attention_peaks,
    places_from_attention,
    places_from_boxes,
    suppress_places,
)
from runtime.contract import ATTENTION_NAMES
from runtime.detections import Detections
from runtime.errors import UsageError
from runtime.geometry import Letterbox
from runtime.postprocess import PostprocessOptions, detections_from_raw
from runtime.saccade_crops import cut_crops

Outputs = dict[str, np.ndarray]
# uint8 (N, H, W, 3) -> detections and attention maps by name, as of ``Backend.infer``
Infer = Callable[[np.ndarray], Mapping[str, np.ndarray]]

# Longer side of the image at the first look, for a network input of 255 pixels.
FIRST_SIDES_PX = (192, 255)
PUBLISHED_INPUT_PX = 255
# Boxes of the first look that are kept, and those whose object gets a second look.
FIRST_SCORE = 0.3
SECOND_LOOK_SCORE = 0.5
# Crops that a processor sees at once: it is no faster with more, and each takes 37 MB.
PROCESSOR_BATCH = 4
# Width of the soft-NMS that merges both looks; other CornerNets take 0.5.
SIGMA = 0.7


@dataclass(frozen=True)
class SaccadeOptions:
    """How much to look.

    Attributes:
        max_crops: Most crops per image; 30 as published. Fewer are faster and find less; 0 leaves
            only the first look.
        attention_threshold: Places with a score above this are looked at; 0.3 as published.
        batch: Most crops that the network sees at once; 32 as published.

    Raises:
        UsageError: On creation, if a value is out of range.
    """

    max_crops: int = 30
    attention_threshold: float = 0.3
    batch: int = 32

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.max_crops < 0:
            raise UsageError(f"max crops is {self.max_crops}; expected 0 or more; 30 is usual")
        if not 0.0 <= self.attention_threshold <= 1.0:
            raise UsageError(
                f"attention threshold is {self.attention_threshold}; expected 0 to 1; 0.3 is usual"
            )
        if self.batch < 1:
            raise UsageError(f"batch is {self.batch}; expected at least 1; 32 is usual")


class SaccadeDetector:
    """Finds objects with two looks through one network. Use it from one thread at a time.

    Args:
        infer: Runs the network on uint8 (N, H, W, 3) BGR frames. Gives ``boxes``, ``scores``,
            ``class_ids`` as ``Backend.infer`` does, and ``att0``, ``att1``, ``att2``.
        network_hw: Height and width of its input, in pixels.
        options: How much to look.
    """

    def __init__(
        self, infer: Infer, network_hw: tuple[int, int], options: SaccadeOptions | None = None
    ) -> None:
        self._infer = infer
        self._network_hw = network_hw
        self._options = options or SaccadeOptions()

    def detect(self, image: np.ndarray, options: PostprocessOptions) -> Detections:
        """Find the objects on an image.

        Args:
            image: uint8 (H, W, 3), BGR, of any size; not modified.
            options: What to keep; ``with_published_sigma`` has the published suppression.

        Returns:
            Boxes in image pixels, clipped to the image, best first.

        Raises:
            UsageError: If the image has no pixels.
        """
        size_hw = (image.shape[0], image.shape[1])
        unchanged = Letterbox.fit(size_hw, size_hw)
        return detections_from_raw(self.look(image), unchanged, options)

    def look(self, image: np.ndarray) -> Outputs:
        """Return the boxes of both looks, not merged yet.

        Args:
            image: uint8 (H, W, 3), BGR, at least one pixel; not modified.

        Returns:
            ``boxes`` float32 (1, n, 4) in image pixels, not clipped; ``scores`` float32 (1, n),
            ``class_ids`` int32 (1, n); first look first.
        """
        first, seen, attention = self._look_at(image, self._first_places(image.shape[:2]))
        first = first.above(FIRST_SCORE)
        places = self._places_of_interest(first, seen, attention)
        looks = [first]
        if len(places):
            second, _, _ = self._look_at(image, places)
            looks.append(second.above(-1.0))
        joined = (np.concatenate(parts)[None] for parts in zip(*looks, strict=True))
        return dict(zip(("boxes", "scores", "class_ids"), joined, strict=True))

    def _first_places(self, image_hw: tuple[int, ...]) -> np.ndarray:
        """Return the middle of the image at every scale of the first look, float32 (n, 3)."""
        height, width = image_hw[:2]
        input_px = min(self._network_hw)
        sides = [round(input_px * side / PUBLISHED_INPUT_PX) for side in FIRST_SIDES_PX]
        rows = [(height // 2, width // 2, side / max(height, width)) for side in sides]
        return np.array(rows, np.float32)

    def _places_of_interest(
        self, first: _Boxes, seen: Seen, attention: list[np.ndarray]
    ) -> np.ndarray:
        """Return where to look closer, best first."""
        peaks = [attention_peaks(scores) for scores in attention]
        attended = places_from_attention(peaks, seen, self._options.attention_threshold)
        found = places_from_boxes(first.above(SECOND_LOOK_SCORE).xyxy)
        return suppress_places(np.concatenate([attended, found]), self._options.max_crops)

    def _look_at(
        self, image: np.ndarray, places: np.ndarray
    ) -> tuple[_Boxes, Seen, list[np.ndarray]]:
        """Run the network on crops; returns all rows, empty ones too, and the attention maps."""
        canvases, offsets = cut_crops(image, places, self._network_hw)
        outputs = list(self._run(canvases))
        seen = Seen(places[:, 2], offsets, (image.shape[0], image.shape[1]))
        boxes, scores, class_ids, *attention = (
            np.concatenate([output[name] for output in outputs])
            for name in ("boxes", "scores", "class_ids", *ATTENTION_NAMES)
        )
        scaled = (boxes / seen.scales[:, None, None]).astype(np.float32)
        moved = scaled + np.tile(offsets[:, ::-1], 2)[:, None]
        rows = _Boxes(moved.reshape(-1, 4), scores.reshape(-1), class_ids.reshape(-1))
        return rows, seen, attention

    def _run(self, canvases: np.ndarray) -> Iterator[Mapping[str, np.ndarray]]:
        for start in range(0, len(canvases), self._options.batch):
            yield self._infer(canvases[start : start + self._options.batch])


class _Boxes(NamedTuple):
    """Rows of the network in image pixels: float32 (n, 4) and (n,), int32 (n,)."""

    xyxy: np.ndarray
    scores: np.ndarray
    class_ids: np.ndarray

    def above(self, score: float) -> _Boxes:
        """Return the rows with a higher score; empty ones have -1."""
        kept = self.scores > score
        return _Boxes(self.xyxy[kept], self.scores[kept], self.class_ids[kept])


def with_published_sigma(options: PostprocessOptions) -> PostprocessOptions:
    """Return options with the width of suppression that is published for two looks.

    A width that somebody chose, any but the default, stays.
    """
    if options.sigma != PostprocessOptions().sigma:
        return options
    return dataclasses.replace(options, sigma=SIGMA)
