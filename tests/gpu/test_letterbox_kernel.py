"""The letterbox kernel on a real GPU against OpenCV."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("cv2")

from runtime.errors import BackendError
from runtime.geometry import Letterbox
from runtime.letterbox_gpu import LetterboxKernel
from runtime.preprocess import letterbox_image

pytestmark = pytest.mark.gpu


def run(library: Path, image: np.ndarray, letterbox: Letterbox) -> np.ndarray:
    from runtime.cuda_memory import DeviceBuffer, HostBuffer, Stream

    size = int(np.prod(letterbox.network_hw)) * 3
    pinned, back = HostBuffer(image.size, "x"), HostBuffer(size, "x")
    source, canvas, stream = DeviceBuffer(image.size, "x"), DeviceBuffer(size, "x"), Stream()
    pinned.array[:] = image.reshape(-1)
    stream.copy_to_device(source.address, pinned.array)
    LetterboxKernel(library).launch(source.address, canvas.address, letterbox, stream.handle)
    stream.copy_to_host(back.array, canvas.address)
    stream.synchronize()
    result = back.array.reshape(*letterbox.network_hw, 3).copy()
    for thing in (stream, source, canvas, pinned, back):
        thing.close()
    return result


@pytest.mark.parametrize("network_hw", [(511, 511), (255, 255), (256, 384), (1, 1), (127, 1023)])
@pytest.mark.parametrize(
    "image_hw", [(1080, 1920), (480, 640), (1, 1), (1, 700), (700, 1), (511, 511), (100, 90)]
)
def test_every_pixel_is_within_one_level_of_opencv(
    current: Any, plugin_library: Path, image_hw: tuple[int, int], network_hw: tuple[int, int]
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*image_hw, 3), np.uint8)
    letterbox = Letterbox.fit(image_hw, network_hw)
    got = run(plugin_library, image, letterbox)
    assert np.abs(got.astype(int) - letterbox_image(image, letterbox)).max() <= 1


def test_sizes_that_contradict_each_other_are_refused(current: Any, plugin_library: Path) -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(BackendError, match="CUDA error 1"):
        run(plugin_library, image, Letterbox((8, 8), (16, 16), (17, 16), (0, 0)))
