"""The command line of the calibration, as options."""

from __future__ import annotations

from pathlib import Path

import pytest

from calibration.observers import Provider
from calibration.options import (
    DEFAULT_MAX_IMAGES,
    CalibrationOptions,
    build_parser,
    options_from,
    samples_from,
)
from calibration.ranges import PERCENTILE, RangeMethod
from calibration.samples import SampleChoice
from runtime.errors import UsageError


def parse(folder: Path, *more: str) -> CalibrationOptions:
    return options_from(build_parser().parse_args(words(folder, *more)))


def words(folder: Path, *more: str) -> list[str]:
    return ["--onnx", "a.onnx", "--images", "shots", "--out", str(folder / "int8.onnx"), *more]


def test_defaults_are_those_of_the_options_but_for_the_cache(tmp_path: Path) -> None:
    options = parse(tmp_path)
    assert options.method is CalibrationOptions().method is RangeMethod.MSE
    assert options.weights == CalibrationOptions().weights
    assert (options.base, options.percentile) == ("fp32", PERCENTILE)
    assert options.observation.provider is Provider.CPU
    assert options.observation.cache == tmp_path / "int8.ranges.npz"
    assert CalibrationOptions().observation.cache is None


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (["--effort", "fast"], RangeMethod.MSE),
        (["--effort", "good"], RangeMethod.MSE),
        (["--effort", "best"], RangeMethod.MINMAX),
        (["--effort", "best", "--method", "mse"], RangeMethod.MSE),
    ],
)
def test_the_method_goes_with_the_effort_unless_it_is_named(
    tmp_path: Path, more: list[str], expected: RangeMethod
) -> None:
    assert parse(tmp_path, *more).method is expected


def test_every_range_option_is_taken(tmp_path: Path) -> None:
    cache = str(tmp_path / "c.npz")
    more = "--method percentile --percentile 99.9 --provider cuda --cache".split()
    options = parse(tmp_path, *more, cache)
    assert (options.method, options.percentile) == (RangeMethod.PERCENTILE, 99.9)
    assert options.observation.provider is Provider.CUDA
    assert options.observation.cache == Path(cache)
    assert parse(tmp_path, "--no-cache").observation.cache is None


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ([], SampleChoice("shots", DEFAULT_MAX_IMAGES)),
        (["--max-images", "9", "--seed", "3"], SampleChoice("shots", 9, 3)),
        (["--balance"], SampleChoice("shots", DEFAULT_MAX_IMAGES, None, Path("shots"))),
        (["--balance", "a.json"], SampleChoice("shots", DEFAULT_MAX_IMAGES, None, Path("a.json"))),
    ],
)
def test_how_images_are_chosen(tmp_path: Path, more: list[str], expected: SampleChoice) -> None:
    assert samples_from(build_parser().parse_args(words(tmp_path, *more))) == expected


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--method", "guess"], "invalid choice: 'guess'"),
        (["--percentile", "0"], "got '0'; expected a number above 0"),
        (["--percentile", "most"], "got 'most'"),
        (["--cache", "/"], "expected a name that ends in"),
        (["--max-images", "some"], "got 'some'; expected a whole number from 1"),
    ],
)
def test_what_makes_no_sense_is_one_error(tmp_path: Path, more: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse(tmp_path, *more)
