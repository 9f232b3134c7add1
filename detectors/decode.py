"""From raw maps to boxes: peaks, the best corners, pairing by embedding.

Only static shapes and plain tensor operators, so that the export wrapper can trace it into the
graph and the same code decodes in PyTorch, ONNX Runtime and TensorRT.

Source: Law and Deng, "CornerNet", arXiv:1808.01244, sections 3.1 and 4.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from runtime.contract import DecodeParams
from runtime.errors import UsageError

EMPTY_SCORE = -1.0


class Corners(NamedTuple):
    """The best corners of one kind per image, best first; every tensor is (N, K).

    Attributes:
        scores: float32, in [0, 1].
        classes: int64.
        cells_x: float32, column of the peak's cell.
        cells_y: float32, row of the peak's cell.
        x: float32, column with its offset added.
        y: float32, row with its offset added.
        tags: float32, embeddings.
    """

    scores: Tensor
    classes: Tensor
    cells_x: Tensor
    cells_y: Tensor
    x: Tensor
    y: Tensor
    tags: Tensor


class Peaks(NamedTuple):
    """The best peaks of a heatmap per image, best first; every tensor is (N, K).

    Attributes:
        scores: float32, in [0, 1].
        classes: int64.
        cells: int64, row times the map's width plus column.
        cells_x: float32, column of the peak's cell.
        cells_y: float32, row of the peak's cell.
    """

    scores: Tensor
    classes: Tensor
    cells: Tensor
    cells_x: Tensor
    cells_y: Tensor


def decode_corners(  # noqa: PLR0913 - four parameters of the paper, one of its follow-up
    maps: Mapping[str, Tensor],
    top_k: int,
    nms_kernel: int,
    ae_threshold: float,
    num_dets: int,
    *,
    drop_border: bool = False,
    pair_score: str = "mean",
) -> Tensor:
    """Pair the best corners of each image into boxes.

    A pair is refused when the classes differ, the embeddings are further apart than
    ``ae_threshold``, or the second corner lies left of or above the first. All arithmetic is
    float32, whatever the maps are.

    Args:
        maps: Raw maps of one stack: ``tl_heat``, ``br_heat`` logits (N, C, h, w), ``tl_tag``,
            ``br_tag`` (N, 1, h, w), ``tl_off``, ``br_off`` (N, 2, h, w) as x, y; any float dtype.
        top_k: Corners kept per image and kind, over all classes and cells together.
        nms_kernel: Side of the window in which a corner must be the maximum, in cells; odd.
        ae_threshold: Largest distance between the embeddings of a pair.
        num_dets: Rows of the result; at most ``top_k * top_k``.
        drop_border: Also refuse pairs with a top-left corner in the first row or column, or a
            bottom-right corner in the last: on a crop these are objects cut off by the border
            (CornerNet-Saccade).
        pair_score: "mean" of the corners' scores, as published, or their "geometric" mean.

    Returns:
        float32 (N, num_dets, 8), best first: x1, y1, x2, y2 in heatmap cells, score, top-left
        score, bottom-right score, class id. A row with score -1 is empty, and its other columns
        mean nothing.

    Raises:
        UsageError: If a parameter is out of range, or the heatmaps hold fewer than ``top_k`` cells.
    """
    _check_parameters(maps["tl_heat"], top_k, nms_kernel, num_dets)
    height, width = maps["tl_heat"].shape[2:]
    tl = find_corners(maps, "tl", top_k, nms_kernel)
    br = find_corners(maps, "br", top_k, nms_kernel)

    def differ(a: Tensor, b: Tensor) -> Tensor:
        return a.unsqueeze(2) - b.unsqueeze(1)

    refused = (differ(tl.classes, br.classes) != 0) | (
        differ(tl.tags, br.tags).abs() > ae_threshold
    )
    refused = refused | (differ(tl.x, br.x) > 0) | (differ(tl.y, br.y) > 0)
    if drop_border:
        cut_off_tl = (tl.cells_x == 0) | (tl.cells_y == 0)
        cut_off_br = (br.cells_x == width - 1) | (br.cells_y == height - 1)
        refused = refused | cut_off_tl.unsqueeze(2) | cut_off_br.unsqueeze(1)
    tl_scores, br_scores = tl.scores.unsqueeze(2), br.scores.unsqueeze(1)
    if pair_score == "geometric":
        pair_scores = (tl_scores * br_scores).sqrt()
    else:
        pair_scores = (tl_scores + br_scores) / 2
    pair_scores = pair_scores.masked_fill(refused, EMPTY_SCORE)
    scores, pairs = torch.topk(pair_scores.flatten(1), num_dets)
    first, second = _split_index(pairs, top_k)
    columns = [
        tl.x.gather(1, first),
        tl.y.gather(1, first),
        br.x.gather(1, second),
        br.y.gather(1, second),
        scores,
        tl.scores.gather(1, first),
        br.scores.gather(1, second),
        tl.classes.gather(1, first).float(),
    ]
    return torch.stack(columns, dim=2)


def decode_as(maps: Mapping[str, Tensor], params: DecodeParams) -> Tensor:
    """Decode with the parameters of a registry entry or contract: see ``decode_corners``."""
    return decode_corners(
        maps,
        params.top_k,
        params.nms_kernel,
        params.ae_threshold,
        params.num_dets,
        drop_border=params.drop_border,
        pair_score=params.pair_score,
    )


def find_corners(maps: Mapping[str, Tensor], corner: str, top_k: int, nms_kernel: int) -> Corners:
    """Keep the ``top_k`` strongest peaks over all classes, with what lies at their cells.

    A peak is a cell that no cell of its class exceeds within ``nms_kernel``; all other cells score
    0, and fill the last places where there are fewer than ``top_k`` peaks. All arithmetic is
    float32, whatever the maps are.

    Args:
        maps: Raw maps of one stack, as for ``decode_corners``; only those of ``corner`` are read.
        corner: "tl" for top-left corners, "br" for bottom-right ones.
        top_k: Corners kept per image; at most C * h * w.
        nms_kernel: Side of the window of a peak, in cells; odd.

    Returns:
        The corners, best first: float32 (N, top_k), classes int64, places in heatmap cells.

    Raises:
        RuntimeError: From PyTorch, if the heatmap holds fewer than ``top_k`` cells;
            ``decode_corners`` checks that beforehand.

    Source: Law and Deng, "CornerNet", arXiv:1808.01244, section 4.2.
    """
    peaks = find_peaks(maps[f"{corner}_heat"], top_k, nms_kernel)
    tags = maps[f"{corner}_tag"].float().flatten(1).gather(1, peaks.cells)
    offsets_x, offsets_y = maps[f"{corner}_off"].float().flatten(2).unbind(1)
    x = peaks.cells_x + offsets_x.gather(1, peaks.cells)
    y = peaks.cells_y + offsets_y.gather(1, peaks.cells)
    return Corners(peaks.scores, peaks.classes, peaks.cells_x, peaks.cells_y, x, y, tags)


def find_peaks(heat: Tensor, top_k: int, nms_kernel: int) -> Peaks:
    """Keep the ``top_k`` strongest peaks over all classes, as ``find_corners`` does.

    Args:
        heat: Logits (N, C, h, w), any float dtype.
        top_k: Peaks kept per image; at most C * h * w.
        nms_kernel: Side of the window of a peak, in cells; odd.

    Raises:
        RuntimeError: From PyTorch, if the heatmap holds fewer than ``top_k`` cells;
            ``check_peaks`` finds out beforehand.
    """
    heat = heat.float().sigmoid()
    height, width = heat.shape[2:]
    strongest_near = functional.max_pool2d(heat, nms_kernel, stride=1, padding=nms_kernel // 2)
    peaks = heat * (strongest_near == heat)
    scores, places = torch.topk(peaks.flatten(1), top_k)
    classes, cells = _split_index(places, height * width)
    rows, columns = _split_index(cells, width)
    return Peaks(scores, classes, cells, columns.float(), rows.float())


def _split_index(indices: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Divide with remainder; ONNX has no remainder by a size that is known only at run time."""
    quotient = indices // size
    return quotient, indices - quotient * size


def _check_parameters(heat: Tensor, top_k: int, nms_kernel: int, num_dets: int) -> None:
    if not 1 <= num_dets <= top_k * top_k:
        raise UsageError(
            f"num_dets is {num_dets} with top_k {top_k}; expected 1 to top_k * top_k = "
            f"{top_k * top_k} pairs; change one of them"
        )
    check_peaks(heat, top_k, nms_kernel)


def check_peaks(heat: Tensor, top_k: int, nms_kernel: int) -> None:
    """Refuse parameters of ``find_peaks`` that are out of range.

    Raises:
        UsageError: If ``nms_kernel`` is no odd number, or the heatmap holds fewer than ``top_k``
            cells.
    """
    if nms_kernel < 1 or nms_kernel % 2 == 0:
        raise UsageError(f"nms_kernel is {nms_kernel}; expected an odd number; use 3")
    if torch.compiler.is_compiling():
        return  # a traced size may be symbolic; comparing it would fix it
    cells = heat.shape[1] * heat.shape[2] * heat.shape[3]
    if not 1 <= top_k <= cells:
        raise UsageError(
            f"top_k is {top_k}, but a heatmap of shape {tuple(heat.shape[1:])} has {cells} cells; "
            "use a smaller top_k or a larger input"
        )
