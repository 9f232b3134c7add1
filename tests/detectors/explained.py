"""Maps with known corners, and what the tests of explanations build from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from detectors.explain_corners import Pairing, pair_corners
from runtime.contract import DecodeParams

CHANNELS = {"heat": 3, "tag": 1, "off": 2}
CELLS = 24
DECODE = DecodeParams(top_k=8, nms_kernel=3, ae_threshold=0.5, num_dets=20, pair_score="geometric")
NAMES = ("cat", "dog", "owl")


class Peak(NamedTuple):
    """A corner to draw: kind, column, row, class, score and embedding."""

    kind: str
    x: int
    y: int
    class_id: int
    score: float
    embedding: float


def maps_with(peaks: Sequence[Peak]) -> dict[str, Tensor]:
    """Return maps of 24 x 24 cells, quiet but for the peaks."""
    maps = {
        f"{corner}_{kind}": torch.zeros(1, channels, CELLS, CELLS)
        for corner in ("tl", "br")
        for kind, channels in CHANNELS.items()
    }
    for corner in ("tl", "br"):
        maps[f"{corner}_heat"] -= 9
    for peak in peaks:
        score = torch.tensor(peak.score)
        maps[f"{peak.kind}_heat"][0, peak.class_id, peak.y, peak.x] = torch.logit(score)
        maps[f"{peak.kind}_tag"][0, 0, peak.y, peak.x] = peak.embedding
    return maps


def pairing_of(*peaks: Peak, decode: DecodeParams = DECODE) -> Pairing:
    """Return the pairing of maps with these peaks."""
    return pair_corners(maps_with(peaks), decode)


def one_object(embedding: float = 0.0, class_id: int = 1) -> tuple[Peak, Peak]:
    """Return the corners of an object from cell (4, 5) to (12, 14)."""
    return (
        Peak("tl", 4, 5, class_id, 0.9, embedding),
        Peak("br", 12, 14, class_id, 0.8, embedding + 0.1),
    )
