"""One PNG with evenly spaced pictures of a stream, to see at a glance what happened."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from runtime.atomic_file import replace_when_done
from runtime.errors import OutputError
from runtime.frames import FrameResult
from runtime.geometry import Letterbox
from runtime.output_faults import explained
from runtime.preprocess import letterbox_image

TILES = 12
COLUMNS = 4
TILE_WIDTH_PX = 320
GAP_PX = 4
GAP_COLOR = (64, 64, 64)


class ContactSheetSink:
    """Keeps small copies of some pictures, of all cameras, and lays them out in a grid.

    The length of a stream is unknown, so it keeps every picture at first, and each time it holds
    twice as many as needed it drops every second one and keeps half as many from then on.

    Args:
        path: The PNG; written at ``close``.
        tiles: Pictures on the sheet.
    """

    name = "contact-sheet"
    needs_picture = True
    in_main_thread = False

    def __init__(self, path: Path, tiles: int = TILES) -> None:
        self._path = path
        self._tiles = tiles
        self._kept: list[np.ndarray] = []
        self._every = 1
        self._seen = 0
        self._tile_hw: tuple[int, int] | None = None

    def publish(self, result: FrameResult) -> None:
        """Keep a small copy, or not."""
        if self._seen % self._every == 0:
            self._kept.append(self._tile(result.annotated))
            if len(self._kept) == 2 * self._tiles:
                self._kept = self._kept[::2]
                self._every *= 2
        self._seen += 1

    def _tile(self, image: np.ndarray) -> np.ndarray:
        """Scale a picture to the size of a tile, which the first picture sets."""
        if self._tile_hw is None:
            height = round(TILE_WIDTH_PX * image.shape[0] / image.shape[1])
            self._tile_hw = (min(max(height, TILE_WIDTH_PX // 4), TILE_WIDTH_PX * 2), TILE_WIDTH_PX)
        if image.shape[1] > TILE_WIDTH_PX:  # smooth before shrinking, so that text stays legible
            height = max(1, round(TILE_WIDTH_PX * image.shape[0] / image.shape[1]))
            image = cv2.resize(image, (TILE_WIDTH_PX, height), interpolation=cv2.INTER_AREA)
        tile = letterbox_image(image, Letterbox.fit(image.shape[:2], self._tile_hw))
        return _with_gap(tile)

    def close(self) -> None:
        """Write the sheet; without any picture there is none."""
        if not self._kept or self._tile_hw is None:
            return
        count = min(self._tiles, len(self._kept))
        chosen = [
            self._kept[i] for i in np.linspace(0, len(self._kept) - 1, count).round().astype(int)
        ]
        columns = min(COLUMNS, count)
        blank = _with_gap(np.zeros((*self._tile_hw, 3), np.uint8))
        chosen += [blank] * (-count % columns)
        rows = [np.hstack(chosen[i : i + columns]) for i in range(0, len(chosen), columns)]
        encoded, data = cv2.imencode(".png", np.vstack(rows))
        if not encoded:
            raise OutputError(f"cannot write {self._path}; choose another --contact-sheet path")
        with explained(self.name, self._path), replace_when_done(self._path) as partial:
            partial.write_bytes(data.tobytes())
        self._kept = []

    def discard(self) -> None:
        """Forget the pictures."""
        self._kept = []


def _with_gap(tile: np.ndarray) -> np.ndarray:
    """Add a border to the right of and below a tile."""
    border = cv2.copyMakeBorder(tile, 0, GAP_PX, 0, GAP_PX, cv2.BORDER_CONSTANT, value=GAP_COLOR)
    return np.asarray(border)
