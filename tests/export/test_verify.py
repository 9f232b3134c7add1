"""PyTorch against artifacts: agreement, disagreement, and artifacts that cannot run here."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

from export import export_onnx, verify
from export.agreement import Agreement, Difference
from export.onnx_graph import load_model, save_model
from runtime import backends
from runtime.contract import MAP_NAMES, contract_path, read_contract, write_contract
from tests.calibration.tiny_network import write_images
from tests.export.conftest import SIZE_HW


@pytest.fixture(scope="module")
def with_maps(nano_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nano with detections and raw maps; do not change it."""
    out = tmp_path_factory.mktemp("verify") / "maps.onnx"
    size = [str(side) for side in SIZE_HW]
    options = ["--weights", str(nano_weights), "--maps", "--size", *size, "--out", str(out)]
    assert export_onnx.main(["--model", "cornernet-nano", *options]) == 0
    return out


def run(artifacts: list[Path], weights: Path, images: Path, *more: str) -> int:
    return verify.main(
        [
            *("--model", "cornernet-nano", "--weights", str(weights)),
            *("--images", str(images), "--artifacts", *map(str, artifacts), *more),
        ]
    )


def altered(source: Path, folder: Path, tensor: str) -> Path:
    """Return a copy whose weights of one name are a tenth larger, under a contract of its own."""
    model = load_model(source)
    (entry,) = [t for t in model.graph.initializer if t.name == tensor]
    values = np.frombuffer(entry.raw_data, np.float32) * np.float32(1.1)
    entry.raw_data = values.tobytes()
    path = folder / "altered.onnx"
    save_model(model, path)
    write_contract(read_contract(source), path)
    return path


def test_an_export_agrees_map_by_map(
    with_maps: Path, nano_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = write_images(tmp_path, 3)
    assert run([with_maps], nano_weights, images, "--max-images", "2") == 0
    text = capsys.readouterr().out
    assert "maps.onnx (fp32, tolerance 0.001): agrees on 2 images" in text
    assert all(f"\n{name} " in text for name in (*MAP_NAMES, "boxes", "scores", "corner_scores"))
    assert "1 agree, 0 differ, 0 not judged, 0 not run" in text


def test_an_artifact_without_maps_is_compared_by_its_detections(
    nano_onnx: Path, nano_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([nano_onnx], nano_weights, write_images(tmp_path, 2)) == 0
    text = capsys.readouterr().out
    assert "tl_heat" not in text and "\nboxes " in text
    assert "with a partner at IoU >= 0.95: 0 of 0" not in text


def test_other_weights_differ_with_status_1(
    with_maps: Path, nano_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [t.name for t in load_model(with_maps).graph.initializer if "tl_off" in t.name]
    other = altered(with_maps, tmp_path, next(name for name in names if name.endswith("weight")))
    images = write_images(tmp_path / "images", 2)
    assert run([with_maps, other], nano_weights, images) == 1
    text = capsys.readouterr().out
    assert "altered.onnx (fp32, tolerance 0.001): DIFFERS" in text
    assert "1 agree, 1 differ" in text


def test_an_engine_that_cannot_run_here_is_told_and_counted(
    with_maps: Path,
    nano_weights: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backends, "BACKENDS", {"onnxruntime": backends.BACKENDS["onnxruntime"]})
    engine = tmp_path / "alien.engine"
    shutil.copy(with_maps, engine)
    contract = dataclasses.replace(read_contract(with_maps), target="tensorrt")
    write_contract(contract, engine)
    images = write_images(tmp_path / "images", 1)
    assert run([engine, with_maps], nano_weights, images) == 0
    text = capsys.readouterr().out
    assert "alien.engine: not run: no backend here runs" in text
    assert "1 agree, 0 differ, 0 not judged, 1 not run" in text
    assert run([engine], nano_weights, images) == 2
    assert "none of 1 artifacts can run here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("--model", "cornernet-squeeze"), "got an artifact of cornernet-nano; expected cornernet"),
        (("--images", "nowhere"), "nowhere"),
        (("--weights", "none.safetensors"), "none.safetensors"),
        (("--artifacts", "none.onnx"), "none.onnx"),
        (("--max-images", "0"), "--max-images"),
    ],
)
def test_what_is_missing_or_wrong_is_one_line(
    change: tuple[str, str],
    message: str,
    with_maps: Path,
    nano_weights: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run([with_maps], nano_weights, write_images(tmp_path, 1), *change) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def verdict(precision: str, relative: float, wanted: int, matched: int) -> verify.Verdict:
    difference = Difference("tl_heat", relative, 1.0)
    agreement = Agreement(1, {"tl_heat": difference}, wanted, matched)
    return verify.Verdict("x", precision, agreement)


@pytest.mark.parametrize(
    ("precision", "relative", "wanted", "matched", "passed"),
    [
        ("fp32", 0.9e-3, 100, 100, True),
        ("fp32", 1.1e-3, 100, 100, False),
        ("fp16", 1.9e-2, 100, 99, True),
        ("fp16", 2.1e-2, 100, 100, False),
        ("fp16", 1e-3, 100, 98, False),
        ("fp16", 1e-3, 0, 0, True),
        ("int8", 1.0, 100, 0, None),
    ],
)
def test_both_maps_and_detections_must_agree(
    precision: str, relative: float, wanted: int, matched: int, passed: bool | None
) -> None:
    assert verdict(precision, relative, wanted, matched).passed is passed


def test_the_contract_of_a_file_with_maps_names_them(with_maps: Path) -> None:
    assert [spec.name for spec in read_contract(with_maps).outputs][4:] == list(MAP_NAMES)
    assert contract_path(with_maps).is_file()
