"""Looking at every image of a dataset before a run, instead of meeting the bad ones during it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import replace

from detectors.dataset import CocoSet
from detectors.dataset_report import Finding
from detectors.examples import Example
from runtime.camera_files import read_image
from runtime.errors import DatasetError, SourceError


def check_images(coco: CocoSet, threads: int = 2) -> CocoSet:
    """Decode every image once, and leave out those that cannot be trained or evaluated on.

    Args:
        coco: The set; not modified.
        threads: Images decoded side by side.

    Returns:
        The set without them; its report counts and names them.

    Raises:
        DatasetError: If no image remains.
    """
    with ThreadPoolExecutor(threads) as pool:
        verdicts = list(pool.map(_verdict, coco.examples))
    report = deepcopy(coco.report)
    for finding in (Finding.IMAGE_DAMAGED, Finding.IMAGE_RESIZED):
        report.add(finding, [name for name, found in verdicts if found is finding])
    sound = [row for row, (_, found) in enumerate(verdicts) if found is None]
    if not sound:
        raise DatasetError(
            f"none of {len(verdicts)} images of {coco.annotation_file} can be used, the first is "
            f"{verdicts[0][0]}; expected images of the listed sizes; copy the set again"
        )
    examples = replace(coco.examples, rows=coco.examples.rows[sound])
    report.images = len(examples)
    report.objects = sum(len(example.class_ids) for example in examples)
    return replace(coco, examples=examples, report=report)


def _verdict(example: Example) -> tuple[str, Finding | None]:
    """Return an image's name, and what is wrong with it."""
    try:
        actual_hw = read_image(example.path).shape[:2]
    except SourceError:
        return example.path.name, Finding.IMAGE_DAMAGED
    resized = example.size_hw not in (None, actual_hw)
    return example.path.name, Finding.IMAGE_RESIZED if resized else None
