"""Average precision: known answers, and the command."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from detectors import evaluate as command
from detectors.checkpoints import save_checkpoint
from detectors.coco_names import COCO_NAMES
from detectors.dataset import CocoSet, read_coco
from detectors.evaluate import collect_rows, evaluate, main
from detectors.registry import build_detector
from detectors.shapes import CLASS_NAMES, ShapesSpec, write_dataset
from export import export_onnx
from runtime.camera_files import read_image
from runtime.detections import Detections
from runtime.errors import SourceError
from runtime.saccade import SIGMA
from tests.builders import TINY_CONTRACT, write_tiny_artifact, write_tiny_saccade

SHIPPED = Path(command.__file__).parent / "weights" / "cornernet-nano.safetensors"


@pytest.fixture(name="coco", scope="module")
def shapes_set(shapes: Path) -> CocoSet:
    return read_coco(shapes)


@pytest.fixture(name="weights", scope="module")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "nano.safetensors"
    torch.manual_seed(1)
    metadata = {"class_names": json.dumps(CLASS_NAMES)}
    save_checkpoint(build_detector("cornernet-nano", 6), path, metadata)
    return path


def oracle(coco: CocoSet, shift_px: float = 0.0, score: float = 0.9):
    """Return a predictor that knows the truth, off by ``shift_px``."""
    answers = {read_image(example.path).tobytes(): example for example in coco.examples}

    def predict(image: np.ndarray) -> Detections:
        example = answers[image.tobytes()]
        return Detections(
            (example.boxes_xyxy + shift_px).astype(np.float32),
            np.full(len(example.class_ids), score, np.float32),
            example.class_ids.astype(np.int32),
        )

    return predict


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run the command, which must succeed; returns what it printed."""
    status = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    assert status == 0, captured.err
    return captured.out


# --- the function ------------------------------------------------------------------------------


def test_the_truth_scores_one(coco):
    result = evaluate(coco, oracle(coco))
    assert (result.ap, result.ap50, result.images) == (1.0, 1.0, 6)


def test_boxes_that_are_off_score_less_at_high_overlap(coco):
    result = evaluate(coco, oracle(coco, shift_px=2.0))
    assert result.ap50 > result.ap75 > 0 and 0.2 < result.ap < 0.95


def test_wrong_classes_and_no_boxes_score_zero(coco):
    right = oracle(coco)

    def confused(image: np.ndarray) -> Detections:
        found = right(image)
        return Detections(found.boxes_xyxy, found.scores, (found.class_ids + 1) % 6)

    assert evaluate(coco, confused).ap < 0.1
    nothing = evaluate(coco, lambda image: Detections.empty())
    assert nothing.ap == 0.0 and nothing.images == 6


def test_a_limit_evaluates_the_first_images_alone(coco):
    result = evaluate(coco, oracle(coco), limit=2)
    assert result.ap == 1.0 and result.images == 2


def test_a_set_without_areas_and_crowds_can_be_evaluated(coco, tmp_path):
    body = json.loads(coco.annotation_file.read_text())
    for entry in body["annotations"]:
        del entry["area"], entry["iscrowd"]
    (tmp_path / "annotations.json").write_text(json.dumps(body))
    bare = read_coco(tmp_path / "annotations.json", coco.folder / "images")
    assert evaluate(bare, oracle(bare)).ap == 1.0


def test_batches_hold_every_image_once_and_in_order(coco):
    sizes = []

    def predict(images):
        sizes.append(len(images))
        return [oracle(coco)(image) for image in images]

    rows, timing = collect_rows(coco, coco.examples, predict, batch=4)
    assert sizes == [4, 2]
    numbers = [row["image_id"] for row in rows]
    assert list(dict.fromkeys(numbers)) == [example.image_id for example in coco.examples]
    assert timing.seconds > 0 and timing.network_ms is None


def test_an_image_that_cannot_be_read_stops_the_evaluation(tmp_path):
    write_dataset(tmp_path, ShapesSpec(images=2, seed=1))
    coco = read_coco(tmp_path)
    coco.examples[1].path.write_bytes(b"no picture")
    with pytest.raises(SourceError, match="cannot be decoded"):
        evaluate(coco, lambda image: Detections.empty())


# --- the command -------------------------------------------------------------------------------


def test_a_checkpoint_gives_a_table_and_json(coco, weights, tmp_path, capsys):
    out = tmp_path / "ap.json"
    arguments = ["--data", coco.folder, "--weights", weights, "--limit", 1, "--size", 64, 64]
    text = run(capsys, *arguments, "--json", out, "--per-class")
    assert "AP50" in text and "AR100" in text and "\ntriangle " in text
    body = json.loads(out.read_text())
    assert body["images"] == 1 and body["model"] == "nano.safetensors"
    assert body["options"]["size"] == [64, 64] and body["network_ms"] > 0


def test_saved_detections_give_the_same_figures(coco, weights, tmp_path, capsys):
    rows, first, second = (tmp_path / name for name in ("rows.json", "a.json", "b.json"))
    data = ["--data", coco.annotation_file, "--images", coco.folder / "images"]
    looking = ["--weights", weights, "--size", 64, 64, "--batch", 3, "--flip"]
    run(capsys, *data, *looking, "--save-results", rows, "--json", first)
    run(capsys, *data, "--results", rows, "--json", second)
    a, b = (json.loads(path.read_text()) for path in (first, second))
    assert a["per_class"] == b["per_class"] and a["ap"] == b["ap"]
    assert len(json.loads(rows.read_text())) > 0


def test_findings_about_the_data_are_told(coco, tmp_path, capsys):
    body = json.loads(coco.annotation_file.read_text())
    body["annotations"][0]["bbox"][2] = 0
    (tmp_path / "a.json").write_text(json.dumps(body))
    (tmp_path / "rows.json").write_text("[]")
    data = ["--data", tmp_path / "a.json", "--images", coco.folder / "images"]
    assert main([str(a) for a in [*data, "--results", tmp_path / "rows.json"]]) == 0
    assert "boxes of zero area, left out: 1" in capsys.readouterr().err


@pytest.mark.slow
def test_checkpoint_and_fp32_onnx_have_the_same_average_precision(tmp_path, capsys):
    write_dataset(tmp_path / "data", ShapesSpec(images=10, seed=11))
    model = tmp_path / "nano.onnx"
    export = ["--model", "cornernet-nano", "--size", "320", "320", "--out", str(model)]
    assert export_onnx.main(export) == 0
    bodies = []
    for name, source in (("a", ["--weights", SHIPPED]), ("b", ["--artifact", model])):
        out = tmp_path / f"{name}.json"
        run(capsys, "--data", tmp_path / "data", *source, "--json", out)
        bodies.append(json.loads(out.read_text()))
    assert bodies[0]["ap"] > 0.6
    for figure in ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", "ar_100"):
        assert bodies[0][figure] == pytest.approx(bodies[1][figure], abs=0.001), figure


def write_coco_like(folder: Path) -> None:
    """Write one image with one object, and COCO's 80 categories with gaps in their ids."""
    (folder / "images").mkdir(parents=True)
    pixels = np.random.default_rng(2).integers(0, 256, (100, 90, 3), dtype=np.uint8)
    cv2.imwrite(str(folder / "images" / "1.png"), pixels)
    categories = [{"id": 2 * i + 1, "name": name} for i, name in enumerate(COCO_NAMES)]
    body = {
        "images": [{"id": 1, "file_name": "1.png", "height": 100, "width": 90}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 3, "bbox": [5, 5, 50, 50]}],
        "categories": categories,
    }
    (folder / "annotations.json").write_text(json.dumps(body))


@pytest.mark.slow
def test_a_published_pickle_is_evaluated_as_published(tmp_path, capsys):
    write_coco_like(tmp_path / "data")
    weights = tmp_path / "CornerNet_Squeeze_500000.pkl"
    torch.manual_seed(1)
    network = build_detector("cornernet-squeeze")
    for corner in ("tl", "br"):  # of one class and one embedding, so that corners pair
        network.get_submodule(f"{corner}_heats.1.1").bias.data[7] = 2.0
        torch.nn.init.zeros_(network.get_submodule(f"{corner}_tags.1.1").weight)
        torch.nn.init.zeros_(network.get_submodule(f"{corner}_tags.1.1").bias)
    torch.save({f"module.{key}": value for key, value in network.state_dict().items()}, weights)
    looking = "--protocol published --flip --scales 0.5 1 --nms merge".split()
    out, rows = tmp_path / "ap.json", tmp_path / "rows.json"
    model = ["--model", "cornernet-squeeze", "--weights", weights]
    data = ["--data", tmp_path / "data", "--json", out, "--save-results", rows]
    run(capsys, *data, *model, *looking)
    body = json.loads(out.read_text())
    assert body["options"]["scales"] == [0.5, 1.0] and body["images"] == 1
    found = json.loads(rows.read_text())
    assert len(found) > 50 and {row["category_id"] for row in found} == {2 * 7 + 1}


# --- failures ----------------------------------------------------------------------------------


def failure(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main([str(argument) for argument in arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    return line


def test_bad_input_is_one_line_and_status_2(coco, tmp_path, capsys):
    data = coco.folder
    nameless = tmp_path / "nameless.safetensors"
    save_checkpoint(build_detector("cornernet-nano", 6), nameless, {})
    tiny = write_tiny_artifact(tmp_path / "tiny.onnx")
    assert "exactly one of" in failure(capsys, "--data", data)
    assert "no file" in failure(capsys, "--data", data, "--artifact", Path("none.onnx"))
    assert "no file" in failure(capsys, "--data", data, "--weights", Path("none.pkl"))
    assert "does not name its classes" in failure(capsys, "--data", data, "--weights", nameless)
    assert "same classes" in failure(capsys, "--data", data, "--artifact", tiny)
    assert "--limit" in failure(capsys, "--data", data, "--artifact", tiny, "--limit", "0")
    assert "expected COCO" in failure(capsys, "--data", tmp_path, "--artifact", tiny)
    assert "no none.json" in failure(capsys, "--data", data, "--results", "none.json")


def test_options_are_refused_before_weights_are_read(coco, capsys):
    absent = ["--data", coco.folder, "--weights", "none.pkl"]
    assert "use 64" in failure(capsys, *absent, "--size", 65, 64)
    assert "sigma is 0.0" in failure(capsys, *absent, "--sigma", 0)
    published = [*absent, "--protocol", "published"]
    assert "got scales 9.0" in failure(capsys, *published, "--scales", 9)
    assert "unknown model 'x'" in failure(capsys, *absent, "--model", "x")


def test_weights_of_another_number_of_classes_are_refused(coco, tmp_path, capsys):
    weights = tmp_path / "a.pkl"
    torch.save(build_detector("cornernet-nano", 6).state_dict(), weights)
    message = failure(capsys, "--data", coco.folder, "--weights", weights)
    assert "holds weights for 6 classes; expected 80" in message


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_named(coco, weights, capsys):
    arguments = ["--data", coco.folder, "--weights", weights, "--device", "cuda"]
    assert "torch finds no GPU here" in failure(capsys, *arguments)


def test_ctrl_c_ends_in_one_line(coco, weights, capsys, monkeypatch, tmp_path):
    def interrupt(example):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "load_image", interrupt)
    out = tmp_path / "ap.json"
    arguments = ["--data", coco.folder, "--weights", weights, "--json", out]
    assert main([str(argument) for argument in arguments]) == 130
    assert capsys.readouterr().err == "interrupted\n"
    assert not out.exists()


def test_a_watched_run_shows_its_progress(coco, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    evaluate(coco, oracle(coco))
    assert "0/6" in capsys.readouterr().err
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    evaluate(coco, oracle(coco))
    assert capsys.readouterr().err == ""


def test_the_record_has_the_suppression_that_two_looks_really_take(coco, tmp_path, capsys):
    body = json.loads(coco.annotation_file.read_text())
    body["categories"] = [
        {"id": number, "name": name} for number, name in enumerate(TINY_CONTRACT.class_names, 1)
    ]
    body["annotations"] = [e for e in body["annotations"] if e["category_id"] <= 2]
    annotations, record = tmp_path / "a.json", tmp_path / "record.json"
    annotations.write_text(json.dumps(body))
    artifact = write_tiny_saccade(tmp_path / "a.onnx")
    images = coco.annotation_file.parent / "images"
    sources = ("--data", annotations, "--images", images, "--artifact", artifact)
    for options, sigma in (((), SIGMA), (("--sigma", 0.4), 0.4)):
        run(capsys, *sources, "--limit", 1, "--json", record, *options)
        assert json.loads(record.read_text())["options"]["sigma"] == sigma
