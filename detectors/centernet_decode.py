"""From a CenterNet's raw maps to boxes: the best peaks, each with the size predicted at its cell.

Only static shapes and plain tensor operators, as in ``detectors.decode``.

Source: Zhou et al., "Objects as Points", arXiv:1904.07850, section 4.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from detectors.decode import EMPTY_SCORE, check_peaks, find_peaks
from runtime.contract import CenterDecodeParams


def decode_centers(maps: Mapping[str, Tensor], top_k: int, nms_kernel: int) -> Tensor:
    """Make a box of each of the best centres.

    All arithmetic is float32, whatever the maps are. Boxes need no suppression beside that of
    neighbouring peaks.

    Args:
        maps: Raw maps of one stack: ``hm`` logits (N, C, h, w), ``wh`` (N, 2, h, w) width and
            height in cells, ``reg`` (N, 2, h, w) offset of the centre as x, y; any float dtype.
        top_k: Boxes per image, over all classes and cells together.
        nms_kernel: Side of the window in which a centre must be the maximum, in cells; odd.

    Returns:
        float32 (N, top_k, 6), best first: x1, y1, x2, y2 in heatmap cells, score, class id. Where
        an image has fewer peaks, the last rows are empty: they score -1, and their other columns
        mean nothing.

    Raises:
        UsageError: If a parameter is out of range, or the heatmap holds fewer than ``top_k`` cells.
    """
    check_peaks(maps["hm"], top_k, nms_kernel)
    peaks = find_peaks(maps["hm"], top_k, nms_kernel)

    def at_peaks(name: str) -> tuple[Tensor, Tensor]:
        first, second = maps[name].float().flatten(2).unbind(1)
        return first.gather(1, peaks.cells), second.gather(1, peaks.cells)

    (offset_x, offset_y), (width, height) = at_peaks("reg"), at_peaks("wh")
    x, y = peaks.cells_x + offset_x, peaks.cells_y + offset_y
    corners = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
    scores = peaks.scores.masked_fill(peaks.scores == 0, EMPTY_SCORE)
    return torch.stack([*corners, scores, peaks.classes.float()], dim=2)


def decode_centers_as(maps: Mapping[str, Tensor], params: CenterDecodeParams) -> Tensor:
    """Decode with the parameters of a registry entry or contract: see ``decode_centers``."""
    return decode_centers(maps, params.top_k, params.nms_kernel)
