"""Average precision of models in memory, on the tiny artifact that is right about two boxes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, numpy_helper

from calibration.accuracy import AccuracyMeter, ImageCache, open_meter
from detectors.dataset import read_coco
from detectors.evaluate import EVALUATION_OPTIONS, evaluate
from detectors.examples import load_image
from detectors.predict import model_from_artifact
from export.onnx_graph import load_model
from runtime.contract import TensorSpec, read_contract
from runtime.errors import CalibrationError, DatasetError, SourceError
from tests.benchmarks.artifacts import write_validation_set
from tests.builders import (
    TINY_CONTRACT,
    tiny_model,
    write_images,
    write_tiny_artifact,
    write_tiny_saccade,
)


@pytest.fixture(name="data")
def validation_set(tmp_path: Path) -> Path:
    return write_validation_set(tmp_path / "val")


def shifted(model: ModelProto, pixels: float) -> ModelProto:
    """Return the tiny model with every box moved to the right."""
    for tensor in model.graph.initializer:
        if tensor.name == "box_values":
            moved = numpy_helper.to_array(tensor) + np.float32([pixels, 0, pixels, 0])
            tensor.CopyFrom(numpy_helper.from_array(moved, tensor.name))
    return model


def test_it_gives_what_evaluating_the_artifact_gives(data: Path, tmp_path: Path) -> None:
    meter = open_meter(data, TINY_CONTRACT)
    artifact = write_tiny_artifact(tmp_path / "tiny.onnx")
    opened = model_from_artifact(artifact, EVALUATION_OPTIONS, "onnxruntime")
    expected = evaluate(read_coco(data), opened.predict)
    assert meter.measure(tiny_model()).precision == expected
    assert expected.ap == 1.0


def test_a_model_with_attention_maps_looks_twice(data: Path, tmp_path: Path) -> None:
    path = write_tiny_saccade(tmp_path / "saccade.onnx", attention=0.9)
    meter = open_meter(data, read_contract(path))
    opened = model_from_artifact(path, EVALUATION_OPTIONS, "onnxruntime")
    evaluated = evaluate(read_coco(data), opened.predict)
    assert meter.measure(load_model(path)).precision == evaluated
    (example,) = read_coco(data).examples
    rows = meter.detect(load_model(path))
    assert len(rows) == len(opened.predict(load_image(example)).scores)
    assert len(rows) != len(open_meter(data, TINY_CONTRACT).detect(tiny_model()))


def test_a_model_that_ends_at_raw_maps(data: Path) -> None:
    raw = replace(TINY_CONTRACT, outputs=(TensorSpec("tl_heat", "float32", ("N", 2, 16, 16)),))
    with pytest.raises(CalibrationError, match=r"tiny gives tl_heat; expected boxes, .* --raw"):
        open_meter(data, raw)


def test_the_digest_is_of_the_images(data: Path) -> None:
    meter = open_meter(data, TINY_CONTRACT)
    before = meter.digest()
    assert meter.digest() == before
    write_images(data / "images", 1)
    assert meter.digest() != before


def test_a_worse_model_has_a_lower_figure(data: Path) -> None:
    meter = open_meter(data, TINY_CONTRACT)
    best, worse, worst = (
        meter.measure(shifted(tiny_model(), pixels)).precision.ap for pixels in (0, 4, 40)
    )
    assert best > worse > worst == 0


def test_the_rows_are_cocos(data: Path) -> None:
    rows = open_meter(data, TINY_CONTRACT).detect(tiny_model())
    assert {row["image_id"] for row in rows} == {1}
    assert {row["category_id"] for row in rows} == {1, 2}
    best = max(rows, key=lambda row: row["score"])
    np.testing.assert_allclose(best["bbox"], [4, 20, 20, 24], atol=1e-3)


def test_images_are_read_once(data: Path) -> None:
    meter = open_meter(data, TINY_CONTRACT)
    first = meter.measure(tiny_model())
    assert len(meter.images) == 1
    (data / "images" / "0.png").unlink()
    assert meter.measure(tiny_model()) == first


def test_the_cache_is_bounded(data: Path) -> None:
    (example,) = read_coco(data).examples
    bytes_of_one = 64 * 64 * 3
    for limit, kept in ((bytes_of_one - 1, 0), (bytes_of_one, 1)):
        cache = ImageCache(limit)
        assert cache.load(example).shape == (64, 64, 3)
        assert len(cache) == kept


def test_an_image_that_cannot_be_read(data: Path) -> None:
    meter = open_meter(data, TINY_CONTRACT)
    (data / "images" / "0.png").write_bytes(b"no image")
    with pytest.raises(SourceError, match=r"0\.png"):
        meter.measure(tiny_model())


def test_a_limit_uses_the_first_images(data: Path) -> None:
    assert len(open_meter(data, TINY_CONTRACT, limit=1).examples) == 1
    assert len(open_meter(data, TINY_CONTRACT).examples) == 1


def test_images_of_other_classes(data: Path) -> None:
    with pytest.raises(DatasetError, match="has classes square, circle; tiny finds a, b"):
        open_meter(data, replace(TINY_CONTRACT, class_names=("a", "b")))


def test_a_missing_data_set(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="expected COCO annotations"):
        open_meter(tmp_path / "none", TINY_CONTRACT)


def test_a_model_that_cannot_be_opened(data: Path) -> None:
    broken = tiny_model()
    broken.graph.node[0].op_type = "NoSuchOperator"
    coco = read_coco(data)
    with pytest.raises(CalibrationError, match="refused the model"):
        AccuracyMeter(coco, coco.examples, TINY_CONTRACT).measure(broken)
