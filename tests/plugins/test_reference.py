"""The NumPy operator against the golden data and against hand-worked cases."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from plugins.reference import WALKS, corner_pool, find_walk

GOLDEN = Path(__file__).parents[1] / "data" / "golden" / "corner_pool.npz"


def golden_cases() -> list[str]:
    with np.load(GOLDEN) as data:
        return sorted({key.split("/")[0] for key in data.files})


@pytest.mark.parametrize("case", golden_cases())
@pytest.mark.parametrize("direction", WALKS)
def test_equals_the_golden_data(case: str, direction: str) -> None:
    with np.load(GOLDEN) as data:
        features, expected = data[f"{case}/x"], data[f"{case}/{direction}_y"]
    np.testing.assert_array_equal(corner_pool(features, direction), expected, strict=True)


@pytest.mark.parametrize(
    ("direction", "expected"),
    [
        ("top", [[4, 6, 6], [4, 0, 6]]),
        ("bottom", [[1, 6, 2], [4, 6, 6]]),
        ("left", [[6, 6, 2], [6, 6, 6]]),
        ("right", [[1, 6, 6], [4, 4, 6]]),
    ],
)
def test_names_the_border_that_maxima_travel_towards(
    direction: str, expected: list[list[int]]
) -> None:
    features = np.array([[1, 6, 2], [4, 0, 6]], np.float32).reshape(1, 1, 2, 3)
    assert corner_pool(features, direction)[0, 0].tolist() == expected


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int8])
def test_keeps_the_dtype_and_the_input(dtype: type) -> None:
    features = np.array([-3, 5, -128, 1], dtype).reshape(1, 1, 1, 4)
    before = features.copy()
    result = corner_pool(features, "left")
    assert result.dtype == dtype
    assert result.flags.c_contiguous
    assert result.ravel().tolist() == [5, 5, 1, 1]
    np.testing.assert_array_equal(features, before)
    assert not np.shares_memory(result, features)


def test_nan_travels_to_the_border() -> None:
    features = np.array([1.0, np.nan, 3.0]).reshape(1, 1, 1, 3)
    np.testing.assert_array_equal(corner_pool(features, "right").ravel(), [1, np.nan, np.nan])


@pytest.mark.parametrize("shape", [(0, 2, 3, 4), (1, 0, 3, 4), (1, 2, 0, 4), (1, 2, 3, 0)])
@pytest.mark.parametrize("direction", WALKS)
def test_an_empty_array_stays_empty(shape: tuple[int, ...], direction: str) -> None:
    assert corner_pool(np.zeros(shape, np.float32), direction).shape == shape


def test_refuses_an_unknown_direction() -> None:
    with pytest.raises(ValueError, match=r"'up'; expected one of top, bottom, left, right"):
        find_walk("up")


def test_refuses_what_is_not_four_dimensional() -> None:
    with pytest.raises(ValueError, match=r"\(3, 4\); expected \(N, C, H, W\)"):
        corner_pool(np.zeros((3, 4)), "top")
