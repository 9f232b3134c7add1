"""Images of a folder as the network will see them: for calibration, and to compare runtimes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from runtime.atomic_file import sha256_of
from runtime.camera_files import ImageFilesSource, list_images
from runtime.errors import UsageError
from runtime.geometry import Letterbox
from runtime.preprocess import letterbox_image


@dataclass(frozen=True)
class ImageBatches:
    """A fixed list of images; iterating reads them one by one, so memory holds one.

    Attributes:
        paths: The image files, in order.
        size_hw: Height and width of the network's input, in pixels.
    """

    paths: tuple[Path, ...]
    size_hw: tuple[int, int]

    def __len__(self) -> int:
        return len(self.paths)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield each image as a uint8 (1, H, W, 3) BGR batch.

        Raises:
            SourceError: If an image cannot be decoded; says which.
        """
        for path in self.paths:
            frame = ImageFilesSource(str(path)).read()
            assert frame is not None  # a file is a source of one image
            letterbox = Letterbox.fit(frame.image.shape[:2], self.size_hw)
            yield letterbox_image(frame.image, letterbox)[np.newaxis]

    def spread(self, count: int) -> ImageBatches:
        """Return at most ``count`` images, at least 1, evenly spread over the list."""
        chosen = np.linspace(0, len(self) - 1, min(count, len(self))).round().astype(int)
        return replace(self, paths=tuple(self.paths[i] for i in chosen))

    def digest(self) -> str:
        """Return a SHA-256 over names and contents, in order: the same images, the same ranges."""
        digest = hashlib.sha256()
        for path in self.paths:
            digest.update(f"{path.name} {sha256_of(path)}\n".encode())
        return digest.hexdigest()


def find_images(pattern: str, size_hw: tuple[int, int], max_images: int) -> ImageBatches:
    """Find images and keep an even selection of them.

    Args:
        pattern: A folder of images, the folder of a COCO data set (with the images in
            ``images/``), a pattern such as ``shots/*.png``, or one image.
        size_hw: Height and width of the network's input, in pixels.
        max_images: Keep at most this many, evenly spread over the sorted list.

    Raises:
        SourceError: If there is no image.
        UsageError: If ``max_images`` is below 1.
    """
    if max_images < 1:
        raise UsageError(f"--max-images got {max_images}; expected at least 1")
    inner = Path(pattern) / "images"
    paths = list_images(str(inner) if inner.is_dir() else pattern)
    return ImageBatches(tuple(paths), size_hw).spread(max_images)
