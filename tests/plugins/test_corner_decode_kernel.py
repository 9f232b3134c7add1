"""The kernels of decoding, run on the CPU, against detectors/decode.py."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from plugins.decode_door import CornerDecodeDoor, DecodeAddresses, DecodeCall
from plugins.kernel_doors import CUDA_INVALID_VALUE
from runtime.contract import MAP_NAMES
from tests.plugins.corner_decode_cases import (
    CALLS,
    CASES,
    GOLDEN_CASES,
    Maps,
    assert_equal_rows,
    expected_rows,
    golden_maps,
    make_maps,
)
from tests.plugins.cpu_library import CSRC, ROOT, compile_for_cpu, load_for_cpu, needs_compiler
from tests.plugins.run_corner_decode import check_decode, decode_on_cpu

pytestmark = needs_compiler
SOURCES = [CSRC / "corner_decode_kernel.cu", CSRC / "corner_decode_capi.cpp"]
SMALL = DecodeCall((1, 2, 8, 8), 4, 3, 0.5, 16)


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> CornerDecodeDoor:
    """Decoding whose kernels run on the CPU."""
    library = tmp_path_factory.mktemp("corner_decode") / "corner_decode.so"
    return CornerDecodeDoor(load_for_cpu(SOURCES, library))


def quiet_maps(call: DecodeCall = SMALL) -> Maps:
    """Return maps without a peak above a score of 0.0001."""
    maps = make_maps(call, "flat")
    return {n: v - 9 if n.endswith("heat") else np.zeros_like(v) for n, v in maps.items()}


@pytest.mark.parametrize("case", CASES)
def test_every_row_equals_the_reference(door: CornerDecodeDoor, case: str) -> None:
    call, look = CASES[case]
    check_decode(door, call, make_maps(call, look))


@pytest.mark.parametrize(
    "case", [pytest.param(c, marks=pytest.mark.slow if "128" in c else ()) for c in GOLDEN_CASES]
)
def test_every_row_equals_the_reference_on_golden_maps(door: CornerDecodeDoor, case: str) -> None:
    check_decode(door, *golden_maps(case))


def test_equal_scores_of_unequal_logits_are_all_peaks(door: CornerDecodeDoor) -> None:
    """Float32 has one score for logits of 20 and 25: judged by logits, 20 would be no peak."""
    maps = quiet_maps()
    maps["tl_heat"][0, 0, 2, 1:3] = 20, 25
    maps["br_heat"][0, 0, 5, 5:7] = 25, 20
    _, rows = decode_on_cpu(door, SMALL, maps)
    assert_equal_rows(rows, expected_rows(SMALL, maps))
    assert rows.boxes[0, :4].tolist() == [[1, 2, 5, 5], [1, 2, 6, 5], [2, 2, 5, 5], [2, 2, 6, 5]]
    assert rows.scores[0, :4].tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize(("height", "width"), [(20, 31), (3, 60), (25, 7)])
def test_windows_end_at_the_border_of_their_class(
    door: CornerDecodeDoor, height: int, width: int
) -> None:
    """Behind the last row of a class lies the first of the next, which is higher here."""
    call = DecodeCall((1, 6, height, width), 2 * width * 4, 3, 0.5, 2 * width * 4)
    maps = quiet_maps(call)
    maps["tl_heat"][:, :, 0] = 2
    maps["tl_heat"][:, :, -1] = 1
    maps["tl_heat"][:, 1::3] = -9  # leaves four classes
    maps["br_heat"][:, :, -1, -1] = 3  # pairs with every corner
    _, rows = decode_on_cpu(door, call, maps)
    assert_equal_rows(rows, expected_rows(call, maps))
    assert (rows.scores > 0.5).all()


def test_without_pairs_every_row_is_empty(door: CornerDecodeDoor) -> None:
    maps = quiet_maps()
    maps["tl_tag"] += 9
    code, rows = decode_on_cpu(door, SMALL, maps)
    assert code == 0
    assert (rows.scores == -1).all()
    assert_equal_rows(rows, expected_rows(SMALL, maps))


def test_fewer_peaks_than_asked_for(door: CornerDecodeDoor) -> None:
    """The first cells of score 0 fill up, as in the reference, where they pair as well."""
    maps = {n: v - 200 if n.endswith("heat") else v for n, v in quiet_maps().items()}
    maps["tl_heat"][0, 1, 2, 1] = 3.0
    maps["br_heat"][0, 1, 5, 6] = 2.0
    code, rows = decode_on_cpu(door, SMALL, maps)
    assert code == 0
    assert_equal_rows(rows, expected_rows(SMALL, maps))
    assert rows.class_ids[0, 0] == 1
    assert rows.boxes[0, 0].tolist() == [1, 2, 6, 5]


def test_infinite_logits_are_scores_of_one_and_zero(door: CornerDecodeDoor) -> None:
    maps = quiet_maps()
    maps["tl_heat"][0, 1, 2, 1] = np.inf
    maps["br_heat"][0, 1, 5, 6] = np.inf
    maps["br_heat"][0, 0] = -np.inf
    _, rows = decode_on_cpu(door, SMALL, maps)
    assert_equal_rows(rows, expected_rows(SMALL, maps))
    assert rows.scores[0, 0] == 1


def test_a_logit_that_is_no_number_is_no_peak_and_hides_none(door: CornerDecodeDoor) -> None:
    maps = quiet_maps()
    maps["tl_heat"][0, 1, 2, 1] = maps["br_heat"][0, 1, 5, 6] = 3.0
    want = expected_rows(SMALL, maps)
    maps["tl_heat"][0, 1, 2, 2] = maps["br_heat"][0, 1, 6, 6] = np.nan
    _, rows = decode_on_cpu(door, SMALL, maps)
    assert np.isfinite(rows.boxes).all()
    np.testing.assert_array_equal(rows.boxes[0, 0], want.boxes[0, 0])
    assert rows.scores[0, 0] == pytest.approx(want.scores[0, 0])


@pytest.mark.parametrize(("distance", "kept"), [(0.5, 1), (0.5001, 0), (np.nan, 1)])
def test_embeddings_may_differ_by_the_threshold(
    door: CornerDecodeDoor, distance: float, kept: int
) -> None:
    maps = quiet_maps()
    maps["tl_heat"][0, 1, 2, 1] = maps["br_heat"][0, 1, 5, 6] = 3.0
    maps["tl_tag"][0, 0, 2, 1] = distance
    _, rows = decode_on_cpu(door, SMALL, maps)
    assert (rows.scores > 0.9).sum() == kept


def test_images_of_a_batch_are_independent(door: CornerDecodeDoor) -> None:
    together = dataclasses.replace(SMALL, shape=(3, 2, 8, 8))
    maps = make_maps(together, "ties")
    _, rows = decode_on_cpu(door, together, maps)
    for image in range(3):
        alone = {name: value[image : image + 1].copy() for name, value in maps.items()}
        _, row = decode_on_cpu(door, SMALL, alone)
        np.testing.assert_array_equal(rows.boxes[image], row.boxes[0])
        np.testing.assert_array_equal(rows.scores[image], row.scores[0])


def test_no_image_is_nothing_to_do(door: CornerDecodeDoor) -> None:
    none = dataclasses.replace(SMALL, shape=(0, 2, 8, 8))
    assert door.decode(none, DecodeAddresses([0] * 6, 0, 0, 0, 0, 0)) == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"top_k": 0},
        {"top_k": 513, "shape": (1, 9, 8, 8)},
        {"top_k": 129},  # of 128 cells
        {"num_dets": 0},
        {"num_dets": 17},  # of 16 pairs
        {"nms_kernel": 2},
        {"nms_kernel": -1},
        {"nms_kernel": 9},
        {"shape": (1, 2, 0, 8)},
        {"shape": (-1, 2, 8, 8)},
        {"shape": (32768, 2, 8, 8)},
        {"shape": (1, 1 << 12, 1 << 9, 1 << 9)},
        {"shape": (1, 1 << 40, 1 << 40, 1)},
    ],
)
def test_parameters_out_of_range_are_refused(
    door: CornerDecodeDoor, changes: dict[str, object]
) -> None:
    bad = dataclasses.replace(SMALL, **changes)  # type: ignore[arg-type]
    some = np.zeros(1).ctypes.data
    at = DecodeAddresses([some] * 6, some, some, some, some, some)
    assert door.decode(bad, at) == CUDA_INVALID_VALUE
    assert door.workspace_bytes(bad) == 0


@pytest.mark.parametrize("missing", [*MAP_NAMES, "boxes", "workspace"])
def test_a_null_pointer_is_refused(door: CornerDecodeDoor, missing: str) -> None:
    some = np.zeros(1).ctypes.data
    maps = [0 if name == missing else some for name in MAP_NAMES]
    at = DecodeAddresses(maps, some, some, some, some, some)
    if missing not in MAP_NAMES:
        at = dataclasses.replace(at, **{missing: 0})
    assert door.decode(SMALL, at) == CUDA_INVALID_VALUE


def test_the_workspace_grows_with_the_batch_alone(door: CornerDecodeDoor) -> None:
    """Per image two kinds of 160 tiles with room for 128 keys of 8 bytes, and the corners."""
    one = DecodeCall((1, 80, 128, 128), 100, 3, 0.5, 1000)
    size = door.workspace_bytes(one)
    assert size == 2 * (160 * 128 * 8 + 100 * 20)
    assert door.workspace_bytes(dataclasses.replace(one, shape=(4, 80, 128, 128))) == 4 * size


@pytest.mark.slow
def test_no_access_outside_a_tensor_and_no_missing_barrier(tmp_path: Path) -> None:
    """Every call once more, under the address sanitizer, threads in the opposite order."""
    sanitizer = subprocess.check_output(["g++", "-print-file-name=libasan.so"], text=True).strip()
    if not Path(sanitizer).is_file():
        pytest.skip("no address sanitizer; install it: apt install libasan8")
    library = compile_for_cpu(SOURCES, tmp_path / "decode.so", ["-fsanitize=address"])
    environment = os.environ | {
        "LD_PRELOAD": str(Path(sanitizer).resolve()),
        "ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=0",
        "CUDA_ON_CPU_ORDER": "reverse",
    }
    command = [sys.executable, "-m", "tests.plugins.run_corner_decode", str(library)]
    result = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr[-3000:]
    assert f"{len(CALLS)} cases" in result.stdout
