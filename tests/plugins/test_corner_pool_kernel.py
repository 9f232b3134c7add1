"""The kernels of corner pooling, run on the CPU, against the NumPy reference."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from plugins.kernel_doors import CUDA_INVALID_VALUE, CornerPoolDoors, FeatureMap, Layout, NumberType
from plugins.reference import Direction, corner_pool
from tests.plugins.corner_pool_cases import (
    DIRECTIONS,
    OFFERED,
    SHAPES,
    make_case,
    pack,
    unpack,
)
from tests.plugins.cpu_library import CSRC, ROOT, compile_for_cpu, needs_compiler

pytestmark = needs_compiler
ALL_KINDS = [pytest.param(t, layout, id=f"{t.name}-{layout.name}") for t, layout in OFFERED]
BOTH_WAYS: tuple[tuple[Direction, Direction], ...] = (
    ("top", "left"),
    ("bottom", "right"),
    ("top", "right"),
)


def check_pool(
    doors: CornerPoolDoors, kind: tuple[NumberType, Layout], shape: tuple[int, int, int, int]
) -> None:
    case = make_case(*kind, shape)
    packed = pack(case.values, case.features.layout)
    for direction in DIRECTIONS:
        result = np.full_like(packed, 77)
        code = doors.pool(case.features, direction, packed.ctypes.data, result.ctypes.data)
        assert code == 0
        np.testing.assert_array_equal(
            unpack(result, case.features), corner_pool(case.values, direction), direction
        )


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("number_type", "layout"), ALL_KINDS)
def test_it_equals_the_reference(
    corner_pool_doors: CornerPoolDoors,
    number_type: NumberType,
    layout: Layout,
    shape: tuple[int, int, int, int],
) -> None:
    check_pool(corner_pool_doors, (number_type, layout), shape)


@pytest.mark.parametrize("number_type", list(NumberType))
def test_addresses_need_no_alignment_beyond_one_number(
    corner_pool_doors: CornerPoolDoors, number_type: NumberType
) -> None:
    case = make_case(number_type, Layout.LINEAR, (1, 2, 6, 32))
    room = np.zeros(case.values.size + 1, case.values.dtype)
    source = room[1:]
    source[:] = case.values.ravel()
    for direction in DIRECTIONS:
        result = np.zeros_like(room)[1:]
        corner_pool_doors.pool(case.features, direction, source.ctypes.data, result.ctypes.data)
        expected = corner_pool(case.values, direction)
        np.testing.assert_array_equal(result.reshape(expected.shape), expected)


@pytest.mark.parametrize("number_type", [NumberType.FLOAT, NumberType.HALF])
def test_nan_travels_and_infinity_is_a_number(
    corner_pool_doors: CornerPoolDoors, number_type: NumberType
) -> None:
    dtype = np.float32 if number_type is NumberType.FLOAT else np.float16
    row = np.array([-np.inf, -np.inf, 1, np.inf, 2, np.nan, 3, np.inf], dtype).reshape(1, 1, 1, 8)
    result = np.zeros_like(row)
    features = FeatureMap((1, 1, 1, 8), number_type)
    corner_pool_doors.pool(features, "right", row.ctypes.data, result.ctypes.data)
    expected = np.array([-np.inf, -np.inf, 1, np.inf, np.inf, np.nan, np.nan, np.nan], dtype)
    np.testing.assert_array_equal(result.ravel(), expected)


# Rows that one warp holds (32, 16 and 2 packs), and rows that it does not.
SUM_SHAPES = ((1, 2, 3, 128), (3, 1, 67, 64), (2, 3, 9, 8), (1, 2, 5, 33), (1, 40, 3, 6))


@pytest.mark.parametrize("shape", SUM_SHAPES, ids=str)
@pytest.mark.parametrize(("number_type", "layout"), ALL_KINDS[:4])
def test_the_sum_of_two_pools(
    corner_pool_doors: CornerPoolDoors,
    number_type: NumberType,
    layout: Layout,
    shape: tuple[int, int, int, int],
) -> None:
    features, values = (case := make_case(number_type, layout, shape)).features, case.values
    other = np.flip(values, (1, 2, 3)) * values.dtype.type(0.37)
    first, second = pack(values, layout), pack(other, layout)
    for vertical, horizontal in BOTH_WAYS:
        result = np.full_like(first, 77)
        sides = ((vertical, first.ctypes.data), (horizontal, second.ctypes.data))
        assert corner_pool_doors.pool_sum(features, *sides, result.ctypes.data) == 0
        with np.errstate(invalid="ignore", over="ignore"):
            expected = corner_pool(values, vertical) + corner_pool(other, horizontal)
        np.testing.assert_array_equal(unpack(result, features), expected)


@pytest.mark.parametrize("shape", [(0, 3, 4, 4), (1, 0, 4, 4), (1, 3, 0, 4), (1, 3, 4, 0)])
def test_an_empty_tensor_is_nothing_to_do(
    corner_pool_doors: CornerPoolDoors, shape: tuple[int, int, int, int]
) -> None:
    features = FeatureMap(shape, NumberType.FLOAT)
    assert corner_pool_doors.pool(features, "top", 0, 0) == 0
    assert corner_pool_doors.pool_sum(features, ("top", 0), ("left", 0), 0) == 0


def test_wrong_arguments_are_refused_before_any_launch(corner_pool_doors: CornerPoolDoors) -> None:
    good = FeatureMap((1, 1, 2, 2), NumberType.FLOAT)
    some = np.zeros(4, np.float32).ctypes.data
    bad = [
        FeatureMap((1, 1, 2, -2), NumberType.FLOAT),
        FeatureMap((1, 1, 2, 2), 3),  # type: ignore[arg-type]
        FeatureMap((1, 1, 2, 2), NumberType.FLOAT, 9),  # type: ignore[arg-type]
    ]
    assert {corner_pool_doors.pool(f, "top", some, some) for f in bad} == {CUDA_INVALID_VALUE}
    assert corner_pool_doors.pool(good, "top", 0, some) == CUDA_INVALID_VALUE
    assert corner_pool_doors.pool(good, "top", some, 0) == CUDA_INVALID_VALUE
    # too many blocks for one launch
    huge = FeatureMap((1 << 30, 1 << 15, 1, 128), NumberType.FLOAT)
    assert corner_pool_doors.pool(huge, "left", some, some) == CUDA_INVALID_VALUE
    assert corner_pool_doors.pool(huge, "top", some, some) == CUDA_INVALID_VALUE


def test_a_sum_needs_one_way_of_each_and_no_int8(corner_pool_doors: CornerPoolDoors) -> None:
    some = np.zeros(4, np.float32).ctypes.data
    top, left = ("top", some), ("left", some)
    good = FeatureMap((1, 1, 2, 2), NumberType.FLOAT)
    int8 = FeatureMap((1, 1, 2, 2), NumberType.INT8)
    pairs = [(good, top, top), (good, left, left), (good, left, top), (int8, top, left)]
    for features, first, second in pairs:
        code = corner_pool_doors.pool_sum(features, first, second, some)  # type: ignore[arg-type]
        assert code == CUDA_INVALID_VALUE


@pytest.mark.slow
def test_no_access_outside_a_tensor_and_no_missing_barrier(tmp_path: Path) -> None:
    """The same cases once more, under the address sanitizer, threads in the opposite order."""
    sanitizer = subprocess.check_output(["g++", "-print-file-name=libasan.so"], text=True).strip()
    if not Path(sanitizer).is_file():
        pytest.skip("no address sanitizer; install it: apt install libasan8")
    sources = [CSRC / "corner_pool_kernel.cu", CSRC / "corner_pool_capi.cpp"]
    # a wide load from an address that is not its multiple ends the process
    options = ["-fsanitize=address,alignment", "-fsanitize-undefined-trap-on-error"]
    library = compile_for_cpu(sources, tmp_path / "pool.so", options)
    environment = os.environ | {
        "LD_PRELOAD": str(Path(sanitizer).resolve()),
        "ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=0",
        "CUDA_ON_CPU_ORDER": "reverse",
    }
    command = [sys.executable, "-m", "tests.plugins.run_corner_pool", str(library)]
    result = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr[-3000:]
    assert f"{len(OFFERED) * len(SHAPES)} cases" in result.stdout
