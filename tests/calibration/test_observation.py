"""The observing step: kept, continued after a stop, and refused where images are no use."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from onnx import numpy_helper

from calibration import range_cache
from calibration.histograms import MagnitudeHistogram
from calibration.observation import UNCACHED, ObservationOptions, observe_images
from calibration.observers import Observer
from calibration.range_cache import read_ranges
from runtime.errors import CalibrationError, SourceError
from runtime.image_batches import ImageBatches, find_images
from tests.calibration.test_range_cache import assert_same, largest_file
from tests.calibration.tiny_network import make_contract, make_tiny_network, write_images

TENSORS = ["block.0/Relu", "heat"]


@pytest.fixture(name="images")
def six_images(tmp_path: Path) -> ImageBatches:
    return find_images(str(write_images(tmp_path / "images", 6)), (16, 16), 10)


@pytest.fixture(name="options")
def with_a_file(tmp_path: Path) -> ObservationOptions:
    return ObservationOptions(cache=tmp_path / "out" / "model.ranges.npz")


def look(
    images: ImageBatches, options: ObservationOptions, tensors: list[str] = TENSORS
) -> dict[str, MagnitudeHistogram]:
    return observe_images(make_tiny_network(), make_contract(), tensors, images, options)


def files(options: ObservationOptions) -> list[str]:
    assert options.cache is not None
    folder = options.cache.parent
    return sorted(p.name for p in folder.iterdir()) if folder.exists() else []


class Counted:
    """Counts the images that are computed; may stop before one of them."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, stop: tuple[int, type[BaseException]] | None = None
    ) -> None:
        self.images = 0
        add = Observer.add

        def counted(observer: Observer, sample: np.ndarray) -> None:
            if stop is not None and self.images == stop[0]:
                raise stop[1]()
            add(observer, sample)
            self.images += 1

        monkeypatch.setattr(Observer, "add", counted)


def test_without_a_file_nothing_is_written(images: ImageBatches, tmp_path: Path) -> None:
    found = look(images, UNCACHED)
    assert list(found) == TENSORS
    assert [p.name for p in tmp_path.iterdir()] == ["images"]


def test_the_second_time_no_image_runs(
    images: ImageBatches, options: ObservationOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = look(images, options)
    computed = Counted(monkeypatch)
    second = look(images, options)
    assert computed.images == 0
    for name in TENSORS:
        assert_same(second[name], first[name])


def test_fewer_tensors_are_in_the_file_already(
    images: ImageBatches, options: ObservationOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    look(images, options)
    computed = Counted(monkeypatch)
    assert list(look(images, options, ["heat"])) == ["heat"]
    assert computed.images == 0
    look(images, options, ["heat", "stem/Relu"])
    assert computed.images == 6


def test_another_image_runs_all_again_and_says_so(
    images: ImageBatches,
    options: ObservationOptions,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    look(images, options)
    cv2.imwrite(str(images.paths[2]), np.full((8, 8, 3), 99, np.uint8))
    computed = Counted(monkeypatch)
    found = look(images, options)
    assert computed.images == 6
    assert "other images (1 changed): observing again" in capsys.readouterr().err
    for name, expected in look(images, UNCACHED).items():
        assert_same(found[name], expected)


@pytest.mark.parametrize("done", [0, 1, 4])
def test_an_interrupted_run_continues_to_the_same_bits(
    images: ImageBatches,
    options: ObservationOptions,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    done: int,
) -> None:
    with monkeypatch.context() as patch:
        Counted(patch, (done, KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            look(images, options)
    assert read_ranges(options.cache).observation.samples == done
    capsys.readouterr()
    with monkeypatch.context() as patch:
        computed = Counted(patch)
        found = look(images, options)
    assert computed.images == 6 - done
    continued = f"ranges of {done} of 6 images are continued from" in capsys.readouterr().err
    assert continued is (done > 0)  # nothing is said of a file that holds nothing
    for name, expected in look(images, UNCACHED).items():
        assert_same(found[name], expected)


def test_a_killed_run_continues_from_what_was_saved(
    images: ImageBatches, options: ObservationOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(range_cache, "SAVE_EVERY_S", 0.0)
    with monkeypatch.context() as patch:
        Counted(patch, (3, SystemExit))  # as a kill does, it reaches no handler of ours
        with pytest.raises(SystemExit):
            look(images, options)
    computed = Counted(monkeypatch)
    found = look(images, options)
    assert computed.images == 3
    for name, expected in look(images, UNCACHED).items():
        assert_same(found[name], expected)


def test_an_image_that_cannot_be_read_leaves_nothing(
    images: ImageBatches, options: ObservationOptions
) -> None:
    images.paths[4].write_bytes(b"no image")
    with pytest.raises(SourceError, match=r"004\.png"):
        look(images, options)
    assert files(options) == []


def test_a_tensor_that_is_not_finite_leaves_nothing(
    images: ImageBatches, options: ObservationOptions
) -> None:
    model = make_tiny_network()
    for tensor in model.graph.initializer:
        if tensor.name == "stem.bias":
            broken = np.full(16, np.nan, np.float32)
            tensor.CopyFrom(numpy_helper.from_array(broken, tensor.name))
    with pytest.raises(CalibrationError, match="became infinite or NaN"):
        observe_images(model, make_contract(), TENSORS, images, options)
    assert files(options) == []


def test_black_images_are_refused(tmp_path: Path, options: ObservationOptions) -> None:
    for index in range(3):
        cv2.imwrite(str(tmp_path / f"{index}.png"), np.zeros((9, 9, 3), np.uint8))
    images = find_images(str(tmp_path), (16, 16), 10)
    with pytest.raises(CalibrationError, match=r"black in all images \(3\); expected pictures"):
        look(images, options)
    assert files(options) == []


def test_one_picture_among_black_ones_is_enough(
    images: ImageBatches, options: ObservationOptions
) -> None:
    for path in images.paths[1:]:
        cv2.imwrite(str(path), np.zeros((9, 9, 3), np.uint8))
    assert look(images, options)["heat"].peak > 0


def test_dead_tensors_are_named(images: ImageBatches, capsys: pytest.CaptureFixture[str]) -> None:
    model = make_tiny_network()
    for tensor in model.graph.initializer:
        if tensor.name.startswith("stem."):
            zeros = np.zeros(tuple(tensor.dims), np.float32)
            tensor.CopyFrom(numpy_helper.from_array(zeros, tensor.name))
    observe_images(model, make_contract(), ["stem/Relu", "heat"], images, UNCACHED)
    assert "note: nothing but 0 was seen in stem/Relu\n" in capsys.readouterr().err


def test_a_full_disk_is_met_before_any_image_runs(
    images: ImageBatches, options: ObservationOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed = Counted(monkeypatch)
    with largest_file(100), pytest.raises(OSError, match="too large"):
        look(images, options)
    assert computed.images == 0
    assert files(options) == []
