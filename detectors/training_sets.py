"""The images that a run learns from and those that it is scored on."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace

from detectors.dataset import CocoSet
from detectors.image_check import check_images
from runtime.errors import DatasetError


@dataclass(frozen=True)
class ImageSets:
    """What a run looks at.

    Attributes:
        training: Images to learn from.
        validation: Images to evaluate on; None evaluates nothing.
    """

    training: CocoSet
    validation: CocoSet | None

    def check(self) -> None:
        """Refuse sets that no network could be trained and evaluated on.

        Raises:
            DatasetError: If there is no object to learn from, or the classes differ.
        """
        coco = self.training
        if not coco.report.objects:
            raise DatasetError(
                f"{coco.annotation_file} has no object to learn from ({coco.report.summary()}); "
                "expected boxes of its categories; check what wrote it"
            )
        if self.validation and self.validation.class_names != coco.class_names:
            raise DatasetError(
                f"the validation set has classes {', '.join(self.validation.class_names)}; "
                f"expected those of the training set, {', '.join(coco.class_names)}; give sets "
                "with the same classes"
            )

    def with_sound_validation(self) -> ImageSets:
        """Leave out validation images that cannot be used; says so in one line on stderr.

        One of them would end the run at its first evaluation.

        Raises:
            DatasetError: If no image remains.
        """
        if self.validation is None:
            return self
        checked = check_images(self.validation)
        if len(checked.examples) < len(self.validation.examples):
            print(f"{checked.annotation_file}: {checked.report.summary()}", file=sys.stderr)
        return replace(self, validation=checked)
