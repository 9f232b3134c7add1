"""How much of a difference in AP is chance: other images would have given another one.

AP is no mean over images, so its standard error is estimated by leaving out a tenth of the images
at a time, for both models alike: what is hard for one is hard for the other, and cancels.

Source: Kott, "The Delete-a-Group Jackknife", Journal of Official Statistics 17(4), 2001.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from calibration.report_measure import ImageSet
from detectors.average_precision import score_rows
from detectors.evaluate import Rows

GROUPS = 10
# With fewer images a tenth of them is too few to tell anything.
FEWEST_IMAGES = 50


def standard_error(images: ImageSet, rows: Rows, other_rows: Rows) -> float | None:
    """Return the standard error of the difference of two models' AP, in [0, 1].

    Args:
        images: What both were run on.
        rows: Detections of one model in COCO's result format.
        other_rows: Those of the other.

    Returns:
        The standard error; None with fewer than ``FEWEST_IMAGES`` images.
    """
    if len(images.examples) < FEWEST_IMAGES:
        return None
    differences = np.array(
        [_difference_without(images, rows, other_rows, group) for group in range(GROUPS)]
    )
    squares = np.square(differences - differences.mean()).sum()
    return float(np.sqrt((GROUPS - 1) / GROUPS * squares))


def _difference_without(images: ImageSet, rows: Rows, other_rows: Rows, group: int) -> float:
    """Return the difference on all images but every tenth."""
    kept = np.arange(len(images.examples)) % GROUPS != group
    examples = replace(images.examples, rows=images.examples.rows[kept])
    ids = set(examples.images.ids[examples.rows].tolist())
    ap, other_ap = (
        score_rows(
            images.coco, [row for row in found if row["image_id"] in ids], examples
        ).precision.ap
        for found in (rows, other_rows)
    )
    return float(ap - other_ap)
