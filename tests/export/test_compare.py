"""Tests of the comparison of PyTorch and ONNX Runtime."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from detectors.checkpoints import save_checkpoint
from detectors.registry import build_detector
from export import compare
from export.compare import Tolerance, compare_outputs, count_unmatched, read_frames
from export.detector_source import DetectorSource
from export.export_onnx import ExportRequest, export_onnx
from export.onnx_graph import load_model
from export.precision import convert_to_fp16
from runtime.contract import MAP_NAMES, contract_path, read_contract, write_contract
from runtime.errors import ArtifactError, SourceError
from tests.detectors.deterministic_weights import build_filled
from tests.export.conftest import SIZE_HW

TOLERANCE = Tolerance(relative=1e-3, box_px=0.1)


def rows(*entries: tuple[float, float, int]) -> dict[str, np.ndarray]:
    """Return detections of one image from (left edge, score, class) triples."""
    lefts, scores, classes = (np.array(column) for column in zip(*entries, strict=True))
    boxes = np.stack([lefts, lefts, lefts + 10, lefts + 10], axis=1).astype(np.float32)
    return {
        "boxes": boxes,
        "scores": scores.astype(np.float32),
        "class_ids": classes.astype(np.int32),
        "corner_scores": np.zeros((len(scores), 2), np.float32),
    }


EMPTY = (0.0, -1.0, 0)


@pytest.mark.parametrize(
    ("mine", "theirs", "expected"),
    [
        ([(1, 0.9, 0), (50, 0.8, 1), EMPTY], [(1, 0.9, 0), (50, 0.8, 1), EMPTY], 0),
        ([(1, 0.9, 0), (50, 0.8999, 1), EMPTY], [(50, 0.8999, 1), (1, 0.9, 0), EMPTY], 0),
        ([(1, 0.9, 0), EMPTY], [(1.05, 0.9005, 0), EMPTY], 0),
        ([(1, 0.9, 0), EMPTY], [(1.2, 0.9, 0), EMPTY], 1),
        ([(1, 0.9, 0), EMPTY], [(1, 0.902, 0), EMPTY], 1),
        ([(1, 0.9, 0), EMPTY], [(1, 0.9, 1), EMPTY], 1),
        ([(1, 0.9, 0), EMPTY], [EMPTY, EMPTY], 1),
        ([(1, 0.9, 0), (1, 0.9, 0), EMPTY], [(1, 0.9, 0), EMPTY, EMPTY], 1),
        ([(1, 0.04, 0), EMPTY], [EMPTY, EMPTY], 0),
        ([(1, 0.0505, 0), EMPTY], [EMPTY, EMPTY], 0),
    ],
    ids=[
        "same",
        "another order",
        "within tolerance",
        "box off",
        "score off",
        "class off",
        "missing",
        "two rows need two partners",
        "below the threshold",
        "at the threshold",
    ],
)
def test_rows_are_matched_whatever_their_order(mine: list, theirs: list, expected: int) -> None:
    assert count_unmatched(rows(*mine), rows(*theirs), TOLERANCE) == expected


def test_a_row_as_weak_as_the_last_kept_may_be_another() -> None:
    mine, theirs = rows((1, 0.9, 0), (20, 0.5, 0)), rows((1, 0.9, 0), (40, 0.5, 0))
    assert count_unmatched(mine, theirs, TOLERANCE) == 0


def maps(offset: float = 0.0) -> dict[str, np.ndarray]:
    return {name: np.float32([[-4.0, 2.0]]) + np.float32(offset) for name in MAP_NAMES}


def test_map_errors_are_shares_of_the_largest_value() -> None:
    comparison = compare_outputs(maps(), maps(0.5), TOLERANCE)
    assert [error.name for error in comparison.maps] == list(MAP_NAMES)
    assert comparison.maps[0].relative == pytest.approx(0.5 / 4)
    assert comparison.detections is None
    assert not comparison.is_within(TOLERANCE)
    assert compare_outputs(maps(), maps(0.001), TOLERANCE).is_within(TOLERANCE)


def test_attention_maps_are_compared_where_there_are_some() -> None:
    reference, other = (maps() | {"att1": np.full((1, 1, 2, 2), v)} for v in (0.5, 0.6))
    comparison = compare_outputs(reference, other, TOLERANCE)
    assert [error.name for error in comparison.maps] == [*MAP_NAMES, "att1"]
    assert not comparison.is_within(TOLERANCE)
    assert compare_outputs(reference, reference, TOLERANCE).is_within(TOLERANCE)


def test_a_map_of_zeros_does_not_divide_by_zero() -> None:
    zeros = {name: np.zeros((1, 2), np.float32) for name in MAP_NAMES}
    assert compare_outputs(zeros, zeros, TOLERANCE).is_within(TOLERANCE)


def test_detections_count_on_both_sides() -> None:
    def with_rows(*entries: tuple[float, float, int]) -> dict[str, np.ndarray]:
        return maps() | {name: value[None] for name, value in rows(*entries).items()}

    comparison = compare_outputs(with_rows((1, 0.9, 0), EMPTY), with_rows(EMPTY, EMPTY), TOLERANCE)
    assert (comparison.detections, comparison.unmatched) == (1, 1)
    swapped = compare_outputs(with_rows(EMPTY, EMPTY), with_rows((1, 0.9, 0), EMPTY), TOLERANCE)
    assert (swapped.detections, swapped.unmatched) == (0, 1)
    assert "unmatched 1" in swapped.table()
    assert not swapped.is_within(TOLERANCE)


def run_main(onnx_path: Path, weights: Path, *options: str) -> int:
    return compare.main(["--onnx", str(onnx_path), "--weights", str(weights), *options])


def test_nano_agrees_with_torch(
    nano_onnx: Path, nano_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(nano_onnx, nano_weights, "--model", "cornernet-nano", "--seed", "3") == 0
    table = capsys.readouterr().out
    assert all(name in table for name in MAP_NAMES)
    assert "detections above 0.05: 0," not in table


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("size_hw", [(511, 511), (255, 383)])
def test_squeeze_agrees_with_torch(size_hw: tuple[int, int], tmp_path: Path) -> None:
    name = "cornernet-squeeze"
    weights, path = tmp_path / "squeeze.safetensors", tmp_path / "squeeze.onnx"
    save_checkpoint(build_filled(lambda: build_detector(name)), weights, {})
    export_onnx(ExportRequest(DetectorSource(name, weights), size_hw), path)
    assert not [n for n in load_model(path).graph.node if n.op_type == "BatchNormalization"]
    assert run_main(path, weights) == 0


def test_images_are_stretched_to_the_network(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), image)
    frames = read_frames([tmp_path / "a.png"] * 2, SIZE_HW)
    assert frames.shape == (2, *SIZE_HW, 3)
    assert frames.dtype == np.uint8
    with pytest.raises(SourceError, match="cannot be read"):
        read_frames([tmp_path / "none.png"], SIZE_HW)


def test_half_precision_needs_a_wider_tolerance(
    nano_onnx: Path, nano_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "half.onnx"
    path.write_bytes(convert_to_fp16(load_model(nano_onnx)).SerializeToString())
    write_contract(read_contract(nano_onnx), path)
    assert run_main(path, nano_weights) == 2
    assert "differs from PyTorch by more than 0.001" in capsys.readouterr().err


def test_other_weights_are_noticed(nano_onnx: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare.main(["--onnx", str(nano_onnx), "--random-weights", "0"]) == 2
    assert "expected the weights it was exported from" in capsys.readouterr().err


def test_bad_input_is_one_line(
    nano_onnx: Path, nano_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = shutil.copy(nano_onnx, tmp_path / "alone.onnx")
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(nano_onnx.read_bytes()[:1000])
    shutil.copy(contract_path(nano_onnx), contract_path(cut))
    built = Path(shutil.copy(nano_onnx, tmp_path / "built.onnx"))
    write_contract(dataclasses.replace(read_contract(nano_onnx), target="onnxruntime"), built)
    cases = {
        "no file at": [tmp_path / "none.onnx", nano_weights],
        "no contract at": [alone, nano_weights],
        "is cut short": [cut, nano_weights],
        "no file at " + str(tmp_path): [nano_onnx, tmp_path / "none.safetensors"],
        "holds cornernet-nano": [nano_onnx, nano_weights, "--model", "cornernet-squeeze"],
        "was built for onnxruntime": [built, nano_weights],
        "got '-1'; expected a whole number": [nano_onnx, nano_weights, "--seed", "-1"],
        "none.png cannot be read": [nano_onnx, nano_weights, "--images", "none.png"],
    }
    for message, arguments in cases.items():
        assert run_main(*arguments) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1


def test_a_graph_without_raw_maps_is_refused(nano_onnx: Path) -> None:
    model = load_model(nano_onnx)
    for node in model.graph.node:
        for values in (node.input, node.output):
            for i, name in enumerate(values):
                values[i] = "other" if name == "tl_heat" else name
    for value in [v for v in model.graph.value_info if v.name == "tl_heat"]:
        model.graph.value_info.remove(value)
    with pytest.raises(ArtifactError, match="no tensor 'tl_heat'"):
        compare.run_onnxruntime(model, np.zeros((1, *SIZE_HW, 3), np.uint8), MAP_NAMES)
