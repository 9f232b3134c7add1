"""What was found wrong with a dataset: counted by kind, with the first cases of each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

SHOWN_CASES = 3


class Finding(Enum):
    """What can be peculiar about an annotation file, and what is done about it."""

    IMAGE_MISSING = "missing images, left out with their objects"
    IMAGE_DAMAGED = "images that cannot be decoded, left out with their objects"
    IMAGE_RESIZED = "images of another size than listed, left out with their objects"
    IMAGE_REPEATED = "images listed again, counted once"
    SIZE_UNKNOWN = "images without width and height, boxes not checked against them"
    IMAGE_EMPTY = "images without objects, kept as background"
    IMAGE_CROWDED = "images with more than 128 objects, embeddings of the 128 largest taught"
    CATEGORY_REPEATED = "categories listed again, counted once"
    NAME_SHARED = "categories with the name of another, kept apart"
    UNKNOWN_IMAGE = "objects of images that are not listed, left out"
    UNKNOWN_CATEGORY = "objects of categories that are not listed, left out"
    MALFORMED = "objects whose box is not four numbers, left out"
    NOT_FINITE = "boxes with a coordinate that is not finite, left out"
    NEGATIVE_SIDE = "boxes of negative width or height, left out"
    ZERO_AREA = "boxes of zero area, left out"
    OUTSIDE = "boxes outside their image, left out"
    CLIPPED = "boxes partly outside their image, clipped"
    OBJECT_REPEATED = "objects listed again, counted once"
    ID_SHARED = "objects with the id of another, kept"
    CROWD = "crowds, not trained on and ignored in evaluation"


# Found in sound datasets, too: no reason to look at the file again.
HARMLESS = frozenset({Finding.IMAGE_EMPTY, Finding.IMAGE_CROWDED, Finding.CROWD})


@dataclass
class DatasetReport:
    """Counts and first cases of every finding.

    Attributes:
        images: Images that remain.
        objects: Objects that remain, crowds not counted.
        counts: How often each finding was made; no entry for those that never were.
        cases: The first cases of each, as a reader can find them in the file.
    """

    images: int = 0
    objects: int = 0
    counts: dict[Finding, int] = field(default_factory=dict)
    cases: dict[Finding, list[str]] = field(default_factory=dict)

    def add(self, finding: Finding, cases: Iterable[str], count: int | None = None) -> None:
        """Count cases of a finding.

        Args:
            finding: What was found.
            cases: The cases, or the first of them.
            count: How many there are; the number of ``cases`` if not given. 0 changes nothing.
        """
        listed = list(cases)
        count = len(listed) if count is None else count
        if count:
            self.counts[finding] = self.counts.get(finding, 0) + count
            known = self.cases.setdefault(finding, [])
            known += listed[: SHOWN_CASES - len(known)]

    @property
    def problems(self) -> int:
        """How many cases make the file worth a look: all but the harmless ones."""
        return sum(count for finding, count in self.counts.items() if finding not in HARMLESS)

    def summary(self) -> str:
        """Return one line: what remains, and how often each finding was made."""
        remains = f"{self.images} images, {self.objects} objects"
        found = [f"{finding.value}: {count}" for finding, count in self._ordered()]
        return "; ".join([remains, *found])

    def details(self) -> list[str]:
        """Return a line for each finding, with its first cases."""
        lines = []
        for finding, count in self._ordered():
            cases = self.cases[finding]
            more = ", ..." if count > len(cases) else ""
            lines.append(f"{finding.value}: {count} ({', '.join(cases)}{more})")
        return lines

    def _ordered(self) -> list[tuple[Finding, int]]:
        """Return the findings that were made, in the order of their definition."""
        return [(finding, self.counts[finding]) for finding in Finding if finding in self.counts]
