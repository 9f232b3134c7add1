"""The letterbox kernel, compiled for the CPU, against OpenCV."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pytest

from runtime.errors import BackendError
from runtime.geometry import Letterbox
from runtime.letterbox_gpu import LetterboxGeometry, LetterboxKernel
from runtime.preprocess import letterbox_image
from tests.plugins.cpu_library import CSRC, compile_for_cpu, needs_compiler

SOURCES = [CSRC / "letterbox_kernel.cu", CSRC / "letterbox_capi.cpp"]
NO_STREAM = 0

pytestmark = needs_compiler


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real kernel and its C door."""
    return compile_for_cpu(SOURCES, tmp_path_factory.mktemp("letterbox") / "letterbox.so")


def run(library: Path, image: np.ndarray, letterbox: Letterbox) -> np.ndarray:
    """Letterbox on a canvas between guard bytes, which must stay as they are."""
    size = int(np.prod(letterbox.network_hw)) * 3
    guarded = np.full(size + 128, 77, np.uint8)
    LetterboxKernel(library).launch(
        image.ctypes.data, guarded.ctypes.data + 64, letterbox, NO_STREAM
    )
    assert set(guarded[:64]) | set(guarded[-64:]) == {77}
    return guarded[64:-64].reshape(*letterbox.network_hw, 3)


def noise(height: int, width: int) -> np.ndarray:
    """Pixels of full contrast, which show every difference of weights."""
    rng = np.random.default_rng(height * 1000 + width)
    return rng.choice(np.array([0, 255, 128, 1], np.uint8), (height, width, 3))


def assert_as_opencv(library: Path, image: np.ndarray, network_hw: tuple[int, int]) -> None:
    letterbox = Letterbox.fit(image.shape[:2], network_hw)
    got, wanted = run(library, image, letterbox), letterbox_image(image, letterbox)
    difference = np.abs(got.astype(int) - wanted)
    assert difference.max() <= 1, (image.shape, network_hw, difference.max())
    outside = np.ones(network_hw, bool)
    (top, left), (height, width) = letterbox.offset_yx, letterbox.resized_hw
    outside[top : top + height, left : left + width] = False
    assert not got[outside].any()


@pytest.mark.parametrize(
    ("image_hw", "network_hw"),
    [
        ((480, 640), (255, 255)),  # smaller, with borders above and below
        ((640, 480), (256, 256)),  # smaller, with borders at the sides
        ((100, 120), (191, 319)),  # larger, odd sizes
        ((37, 53), (127, 64)),
        ((128, 128), (64, 64)),  # exactly half, which OpenCV computes in another way
        ((96, 96), (32, 32)),
        ((64, 64), (128, 128)),
        ((1, 1), (64, 64)),
        ((1, 200), (64, 64)),
        ((200, 1), (64, 64)),
        ((2, 2), (65, 33)),
        ((300, 7), (64, 64)),
        ((50, 70), (1, 1)),
    ],
)
def test_every_pixel_is_within_one_level_of_opencv(
    library: Path, image_hw: tuple[int, int], network_hw: tuple[int, int]
) -> None:
    assert_as_opencv(library, noise(*image_hw), network_hw)


def test_two_hundred_random_sizes(library: Path) -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        image_h, image_w, network_h, network_w = (int(size) for size in rng.integers(1, 90, 4))
        assert_as_opencv(library, noise(image_h, image_w), (network_h, network_w))


def exact_bilinear(image: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """Return the resized picture (height, width, 3), float64, without any rounding."""
    result = image.astype(np.float64)
    for axis, size in enumerate(size_hw):
        length = image.shape[axis]
        centres = ((np.arange(size) + 0.5) * length / size - 0.5).clip(0, length - 1)
        first = np.floor(centres).astype(int)
        second = np.minimum(first + 1, length - 1)
        weight = (centres - first).reshape(-1, *[1] * (2 - axis))
        pair = np.take(result, first, axis), np.take(result, second, axis)
        result = pair[0] * (1 - weight) + pair[1] * weight
    return result


@pytest.mark.parametrize("image_hw", [(50, 70), (7, 5), (200, 150), (1, 64)])
def test_rounding_is_to_the_nearest_level(library: Path, image_hw: tuple[int, int]) -> None:
    image = noise(*image_hw)
    letterbox = Letterbox.fit(image_hw, (96, 96))
    (top, left), (height, width) = letterbox.offset_yx, letterbox.resized_hw
    got = run(library, image, letterbox)[top : top + height, left : left + width]
    exact = exact_bilinear(image, (height, width))
    # Half a level for the result, and each weight is rounded by at most 1 / 4096.
    assert np.abs(got - exact).max() <= 0.5 + 2 * 255 / 4096


def test_a_picture_of_the_networks_size_is_copied_exactly(library: Path) -> None:
    image = noise(64, 48)
    np.testing.assert_array_equal(run(library, image, Letterbox.fit((64, 48), (64, 48))), image)


def test_equal_pixels_stay_equal(library: Path) -> None:
    letterbox = Letterbox.fit((33, 57), (80, 140))
    got = run(library, np.full((33, 57, 3), 255, np.uint8), letterbox)
    (top, left), (height, width) = letterbox.offset_yx, letterbox.resized_hw
    assert set(got[top : top + height, left : left + width].reshape(-1)) == {255}


def test_channels_keep_their_order(library: Path) -> None:
    image = np.broadcast_to(np.uint8([10, 20, 30]), (8, 8, 3)).copy()
    assert run(library, image, Letterbox.fit((8, 8), (16, 16)))[3, 5].tolist() == [10, 20, 30]


@pytest.mark.parametrize(
    "letterbox",
    [
        Letterbox((8, 8), (16, 16), (17, 16), (0, 0)),
        Letterbox((8, 8), (16, 16), (8, 8), (9, 0)),
        Letterbox((8, 8), (16, 16), (8, 8), (0, -1)),
        Letterbox((0, 8), (16, 16), (8, 8), (0, 0)),
        Letterbox((8, 8), (16, 16), (0, 8), (0, 0)),
        Letterbox((8, 40_000), (30_000, 30_000), (8, 30_000), (0, 0)),
    ],
    ids=["taller", "below", "left", "no image", "no size", "32 bits"],
)
def test_sizes_that_contradict_each_other_touch_nothing(
    library: Path, letterbox: Letterbox
) -> None:
    image, canvas = noise(8, 8), np.full((16, 16, 3), 77, np.uint8)
    with pytest.raises(BackendError, match=r"kernel failed \(CUDA error 1\) on Letterbox"):
        LetterboxKernel(library).launch(image.ctypes.data, canvas.ctypes.data, letterbox, NO_STREAM)
    assert set(canvas.reshape(-1)) == {77}


def test_no_memory_is_refused(library: Path) -> None:
    letterbox = Letterbox.fit((8, 8), (16, 16))
    with pytest.raises(BackendError, match="CUDA error 1"):
        LetterboxKernel(library).launch(0, 0, letterbox, NO_STREAM)


def test_the_structure_has_the_fields_of_the_header() -> None:
    header = (CSRC / "letterbox_kernel.h").read_text("utf-8")
    body = header.split("struct LetterboxGeometry {")[1].split("}")[0]
    lines = (line.split("//")[0].strip() for line in body.splitlines())
    declared = [
        name.strip() for line in lines if line for name in line[len("int32_t") : -1].split(",")
    ]
    assert declared == [name for name, _ in LetterboxGeometry._fields_]
    assert ctypes.sizeof(LetterboxGeometry) == 4 * len(declared)


def test_a_library_without_the_kernel(tmp_path: Path) -> None:
    source = tmp_path / "empty.cpp"
    source.write_text("extern int nothing; int nothing = 0;")
    other = compile_for_cpu([source], tmp_path / "empty.so")
    with pytest.raises(BackendError, match=r"has no letterbox kernel .*make plugins"):
        LetterboxKernel(other)


def test_a_file_that_is_no_library(tmp_path: Path) -> None:
    broken = tmp_path / "broken.so"
    broken.write_bytes(b"not a library")
    with pytest.raises(BackendError, match=r"broken\.so has no letterbox kernel"):
        LetterboxKernel(broken)
