"""Ranges in a file: what comes back, and what is refused."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from calibration.histograms import MagnitudeHistogram
from calibration.observers import Observation
from calibration.range_cache import (
    DamagedRangesError,
    RangeCache,
    default_cache_path,
    load_histograms,
    read_ranges,
    write_ranges,
)
from calibration.range_key import RangeKey
from runtime.errors import CalibrationError

KEY = RangeKey("weights", "graph", "16x16", "onnxruntime", (("a.png", "1"), ("b.png", "2")))


def make_observation(samples: int = 2) -> Observation:
    random = np.random.default_rng(0)
    observation = Observation.of(["first", "second"])
    for scale, histogram in enumerate(observation.histograms.values(), 1):
        histogram.add(random.normal(0, scale, 1000))
    observation.samples, observation.blank_samples = samples, 1
    return observation


def assert_same(found: MagnitudeHistogram, expected: MagnitudeHistogram) -> None:
    np.testing.assert_array_equal(found.counts, expected.counts)
    assert (found.limit, found.peak) == (expected.limit, expected.peak)


@pytest.fixture(name="path")
def stored_ranges(tmp_path: Path) -> Path:
    path = tmp_path / "model.ranges.npz"
    write_ranges(path, KEY, make_observation())
    return path


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Refuse to write files beyond a size, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_everything_comes_back_to_the_bit(path: Path) -> None:
    key, found = read_ranges(path)
    expected = make_observation()
    assert key == KEY
    assert (found.samples, found.blank_samples) == (2, 1)
    for name, histogram in load_histograms(path).items():
        assert_same(histogram, expected.histograms[name])
    assert list(found.histograms) == ["first", "second"]
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_an_empty_observation_can_be_stored(path: Path) -> None:
    write_ranges(path, KEY, Observation.of([]))
    assert read_ranges(path).observation == Observation({})


def test_a_histogram_that_comes_back_can_be_continued(path: Path) -> None:
    histogram, expected = load_histograms(path)["first"], make_observation().histograms["first"]
    for each in (histogram, expected):
        each.add(np.linspace(-9, 9, 50))
    assert_same(histogram, expected)


def test_the_path_lies_beside_the_model() -> None:
    assert default_cache_path(Path("build/a.b-int8.onnx")) == Path("build/a.b-int8.ranges.npz")


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match=r"no .*none\.npz; expected the ranges"):
        load_histograms(tmp_path / "none.npz")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_file_that_was_cut_is_damaged(path: Path, share: float) -> None:
    body = path.read_bytes()
    path.write_bytes(body[: int(len(body) * share)])
    with pytest.raises(DamagedRangesError, match="expected a whole file of ranges"):
        read_ranges(path)


def test_a_flipped_bit_is_damage(path: Path) -> None:
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 0x10
    path.write_bytes(bytes(body))
    with pytest.raises(DamagedRangesError):
        read_ranges(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("counts", np.zeros((2, 7), np.int64)),
        ("counts", np.zeros((2, 8192), np.float32)),
        ("limits", np.zeros(3)),
        ("key", np.array("{}")),
        ("key", np.array("no JSON")),
        ("samples", np.array([3, 0])),
        ("samples", np.array([1, 2])),
        ("samples", np.array([1])),
        ("tensors", None),
    ],
)
def test_arrays_that_do_not_fit_are_damage(path: Path, name: str, value: np.ndarray | None) -> None:
    with np.load(path) as stored:
        arrays = dict(stored)
    arrays[name] = value if value is not None else arrays.pop(name).astype(object)
    np.savez(path, **arrays)
    with pytest.raises(DamagedRangesError):
        read_ranges(path)


def test_a_file_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "mine.npz"
    np.savez(path, precious=np.arange(3))
    with pytest.raises(CalibrationError, match="is not a file of calibration ranges") as error:
        RangeCache(path, KEY).restore(["first"])
    assert not isinstance(error.value, DamagedRangesError)
    assert np.load(path)["precious"].tolist() == [0, 1, 2]


def test_a_full_disk_leaves_the_old_file(path: Path) -> None:
    before = path.read_bytes()
    with largest_file(100), pytest.raises(OSError, match="too large"):
        write_ranges(path, KEY, make_observation(1))
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(("samples", "said"), [(2, "are taken from"), (1, "are continued from")])
def test_what_is_used_is_said(
    path: Path, capsys: pytest.CaptureFixture[str], samples: int, said: str
) -> None:
    RangeCache(path, KEY).save(make_observation(samples))
    found = RangeCache(path, KEY).restore(["second"])
    assert found.samples == samples
    assert f"note: ranges of {samples} of 2 images {said}" in capsys.readouterr().err


def test_a_file_of_no_image_yet_is_not_worth_a_word(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    RangeCache(path, KEY).save(Observation.of(["first"]))
    assert RangeCache(path, KEY).restore(["first"]).samples == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("key", "tensors", "said"),
    [
        (RangeKey("x", "graph", "16x16", "onnxruntime", KEY.images), ["first"], "other weights"),
        (RangeKey("weights", "x", "16x16", "onnxruntime", KEY.images), ["first"], "another graph"),
        (KEY, ["first", "third"], "fewer tensors (1 missing)"),
    ],
)
def test_stale_ranges_are_named_and_not_used(
    path: Path,
    capsys: pytest.CaptureFixture[str],
    key: RangeKey,
    tensors: list[str],
    said: str,
) -> None:
    found = RangeCache(path, key).restore(tensors)
    assert found.samples == 0 and list(found.histograms) == tensors
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert said in lines[0] and lines[0].endswith("observing again")


def test_a_damaged_file_is_observed_again(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.write_bytes(b"PK\x03\x04")
    assert RangeCache(path, KEY).restore(["first"]).samples == 0
    assert "is damaged; observing again" in capsys.readouterr().err


def test_without_a_file_nothing_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cache = RangeCache(tmp_path / "a.npz", KEY)
    assert cache.restore(["first"]).samples == 0
    cache.remove()
    assert capsys.readouterr().err == ""
