"""How many candidate boxes anchor-based detectors place on an image, and what CornerNet looks at.

Every count follows from the image's size by the arithmetic of the published network: the sizes of
its feature maps, times the boxes in each of their cells. Nothing is run.

Source: CornerNet, arXiv:1808.01244, section 1, for the comparison; each formula names its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from detectors.registry import find_spec

# Boxes in each cell, map by map: 4 where aspect ratios 3 and 1/3 are left out, otherwise 6.
SSD300_BOXES_PER_CELL = (4, 6, 6, 6, 4, 4)
SSD512_BOXES_PER_CELL = (4, 6, 6, 6, 6, 4, 4)
# A square, a larger square, and ratios 1.6, 2 and 3 with their inverses.
DSSD_BOXES_PER_CELL = 8
DSSD_MAPS = 7
FASTER_RCNN_BOXES_PER_CELL = 9  # three ratios at three sizes
FASTER_RCNN_STRIDE_PX = 16
FPN_BOXES_PER_CELL = 3  # three ratios at the one size of each level
FPN_STRIDES_PX = (4, 8, 16, 32, 64)
RETINANET_BOXES_PER_CELL = 9  # three ratios at three sizes
RETINANET_STRIDES_PX = (8, 16, 32, 64, 128)

# 320 is the shipped network's input, 511 that of the published CornerNets, 800 RetinaNet's.
COMPARED_SIDES_PX = (320, 511, 800)

Size = tuple[int, int]  # height, width


@dataclass(frozen=True)
class AnchorDesign:
    """An anchor-based detector.

    Attributes:
        name: What it is called in the table.
        count: Maps an image's height and width in pixels to the number of boxes.
        published_hw: The size its authors name.
        source: Paper and section of the formula.
    """

    name: str
    count: Callable[[Size], int]
    published_hw: Size
    source: str


@dataclass(frozen=True)
class CornerCount:
    """What a CornerNet looks at on one image.

    Attributes:
        cells: Cells of the two heatmaps together; each is scored once per class.
        corners: Corners kept, both kinds together.
        pairs: Pairs of kept corners that class, position and embeddings decide about.
        boxes: Rows of the decoder's result.
        expressible: Boxes that some pair of cells spans, of any height and width.
    """

    cells: int
    corners: int
    pairs: int
    boxes: int
    expressible: int


def faster_rcnn_boxes(image_hw: Size) -> int:
    """Count the boxes of Faster R-CNN's proposal network: about 20,000 at 600x1000.

    Source: Faster R-CNN, arXiv:1506.01497, sections 3.1.1 and 3.3.
    """
    return _on_strides(image_hw, (FASTER_RCNN_STRIDE_PX,), FASTER_RCNN_BOXES_PER_CELL)


def fpn_boxes(image_hw: Size) -> int:
    """Count the boxes of the proposal network on a feature pyramid, levels P2 to P6.

    Source: FPN, arXiv:1612.03144, section 4.1.
    """
    return _on_strides(image_hw, FPN_STRIDES_PX, FPN_BOXES_PER_CELL)


def ssd300_boxes(image_hw: Size) -> int:
    """Count SSD300's boxes: 8,732 at 300x300.

    Its first map is at stride 8; three padded convolutions halve it, two more take a cell away at
    every border.

    Source: SSD, arXiv:1512.02325, section 3.1 and figure 2.
    """

    def sides(size_px: int) -> list[int]:
        halved = _halvings(math.ceil(size_px / 8), maps=4)
        return [*halved, max(1, halved[-1] - 2), max(1, halved[-1] - 4)]

    return _total(image_hw, sides, SSD300_BOXES_PER_CELL)


def ssd512_boxes(image_hw: Size) -> int:
    """Count SSD512's boxes: 24,564 at 512x512. All six convolutions halve.

    Source: SSD, arXiv:1512.02325, section 3.3.
    """

    def sides(size_px: int) -> list[int]:
        return _halvings(math.ceil(size_px / 8), len(SSD512_BOXES_PER_CELL))

    return _total(image_hw, sides, SSD512_BOXES_PER_CELL)


def dssd_boxes(image_hw: Size) -> int:
    """Count DSSD's boxes on its ResNet-101: 43,688 at 513x513; CornerNet's authors say over 40k.

    Source: DSSD, arXiv:1701.06659, table 1 for the maps, section 3.2 for the aspect ratios.
    """

    def sides(size_px: int) -> list[int]:
        first = _convolved(size_px, kernel=7, stride=2, padding=3)
        pooled = _convolved(first, kernel=3, stride=2, padding=0)
        return _halvings(_convolved(pooled, kernel=1, stride=2, padding=0), DSSD_MAPS)

    return _total(image_hw, sides, (DSSD_BOXES_PER_CELL,) * DSSD_MAPS)


def retinanet_boxes(image_hw: Size) -> int:
    """Count RetinaNet's boxes on levels P3 to P7; CornerNet's authors say over 100k.

    Source: RetinaNet, arXiv:1708.02002, section 4.
    """
    return _on_strides(image_hw, RETINANET_STRIDES_PX, RETINANET_BOXES_PER_CELL)


DESIGNS = (
    AnchorDesign("Faster R-CNN", faster_rcnn_boxes, (600, 1000), "arXiv:1506.01497, section 3.3"),
    AnchorDesign("Faster R-CNN, FPN", fpn_boxes, (800, 800), "arXiv:1612.03144, section 4.1"),
    AnchorDesign("SSD300", ssd300_boxes, (300, 300), "arXiv:1512.02325, section 3.1"),
    AnchorDesign("SSD512", ssd512_boxes, (512, 512), "arXiv:1512.02325, section 3.3"),
    AnchorDesign("DSSD", dssd_boxes, (513, 513), "arXiv:1701.06659, section 3.2"),
    AnchorDesign("RetinaNet", retinanet_boxes, (800, 800), "arXiv:1708.02002, section 4"),
)


def corner_count(model: str, image_hw: Size) -> CornerCount:
    """Count what a detector of the registry looks at.

    Args:
        model: Its name.
        image_hw: Height and width; as for the anchors, the last cell may reach over the border.

    Source: CornerNet, arXiv:1808.01244, section 4.2, for the corners that are kept.
    """
    spec = find_spec(model)
    rows, columns = (math.ceil(size / spec.stride_px) for size in image_hw)
    # Ways to choose two rows, times ways to choose two columns.
    expressible = math.comb(rows, 2) * math.comb(columns, 2)
    top_k = spec.decode.top_k
    return CornerCount(2 * rows * columns, 2 * top_k, top_k**2, spec.decode.num_dets, expressible)


def anchor_facts(models: Sequence[str]) -> dict[str, Any]:
    """Return every count, ready for JSON.

    Args:
        models: Names in the registry, to count corners of.
    """
    squares = [(side, side) for side in COMPARED_SIDES_PX]
    return {
        "compared_sides_px": list(COMPARED_SIDES_PX),
        "designs": [
            {
                "name": design.name,
                "source": design.source,
                "published_hw": list(design.published_hw),
                "published": design.count(design.published_hw),
                "compared": [design.count(square) for square in squares],
            }
            for design in DESIGNS
        ],
        "corners": [
            {"name": model, "compared": [asdict(corner_count(model, square)) for square in squares]}
            for model in models
        ],
    }


def _halvings(side: int, maps: int) -> list[int]:
    """Return the sides of so many maps, each half of the one before, rounded up."""
    return [math.ceil(side / 2**times) for times in range(maps)]


def _convolved(side: int, kernel: int, stride: int, padding: int) -> int:
    """Return the side of a convolution's or pooling's result."""
    return (side + 2 * padding - kernel) // stride + 1


def _on_strides(image_hw: Size, strides_px: Sequence[int], per_cell: int) -> int:
    """Count boxes on maps of the given strides, the last cell reaching over the border."""

    def sides(size_px: int) -> list[int]:
        return [math.ceil(size_px / stride) for stride in strides_px]

    return _total(image_hw, sides, (per_cell,) * len(strides_px))


def _total(image_hw: Size, sides: Callable[[int], list[int]], per_cell: Sequence[int]) -> int:
    """Sum over the maps; ``sides`` turns a side of the image into that side of each map."""
    rows, columns = (sides(size) for size in image_hw)
    return sum(r * c * boxes for r, c, boxes in zip(rows, columns, per_cell, strict=True))
