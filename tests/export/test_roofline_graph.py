"""Graphs without weights: the same sizes, other sizes, and files that are no portable model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper

from export.layer_fusion import fuse_layers
from export.roofline_graph import (
    precision_of,
    read_weightless,
    save_weightless,
    size_graph,
    without_weights,
)
from runtime.errors import ArtifactError, UsageError
from tests.export.conftest import SIZE_HW
from tests.export.rooflines import two_convolutions
from tests.export.tiny_models import Shape, make_model


def with_input(shape: Shape, elem_type: int = TensorProto.FLOAT) -> ModelProto:
    node = helper.make_node("Relu", ["x"], ["y"], name="a/Relu")
    return make_model([node], {"x": (elem_type, shape)}, {"y": (elem_type, [None] * len(shape))})


def test_weights_stay_behind_and_are_still_constants() -> None:
    model = two_convolutions()
    graph = size_graph(without_weights(model))
    assert graph.constants == {"w1", "b1", "w2"} and graph.inputs == ("x",)
    assert graph.tensor("w1").shape == (4, 3, 3, 3) and graph.tensor("y").shape == (1, 4, 8, 8)
    assert len(model.graph.initializer) == 3  # the model itself is as it was


def test_a_kept_graph_counts_as_the_model_does(nano_onnx: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept.onnx"
    save_weightless(read_weightless(nano_onnx), kept)
    assert kept.stat().st_size < 200_000 < nano_onnx.stat().st_size
    direct = fuse_layers(size_graph(read_weightless(nano_onnx)))
    again = fuse_layers(size_graph(read_weightless(kept)))
    assert again == direct
    assert json.loads(onnx.load(kept).metadata_props[0].value) == ["frames"]


def test_another_size_is_inferred_throughout(nano_onnx: Path) -> None:
    model = read_weightless(nano_onnx)
    twice = tuple(2 * side for side in SIZE_HW)
    small, large = (fuse_layers(size_graph(model, size)) for size in (SIZE_HW, twice))
    assert large.operations.multiply_adds == 4 * small.operations.multiply_adds
    assert large.constants == small.constants
    tensors = size_graph(model, twice).tensors
    assert tensors["tl_heat"].shape[2:] == (twice[0] // 4, twice[1] // 4)


def test_a_batch_multiplies_activations(nano_onnx: Path) -> None:
    graph = size_graph(read_weightless(nano_onnx), batch=3)
    assert graph.tensor("boxes").shape[0] == 3


def test_frames_may_be_rows_of_pixels_or_planes() -> None:
    rows = size_graph(without_weights(with_input((1, "H", "W", 3))), (6, 7))
    planes = size_graph(without_weights(with_input((1, 3, "H", "W"))), (6, 7))
    assert rows.tensor("y").shape == (1, 6, 7, 3) and planes.tensor("y").shape == (1, 3, 6, 7)


@pytest.mark.parametrize(
    ("shape", "word"), [(("N", 3, "H", 8), "height"), ((1, 3, 8, None), "width")]
)
def test_a_dynamic_size_must_be_named(shape: Shape, word: str) -> None:
    with pytest.raises(UsageError, match=f"{word} is dynamic .*add --size H W"):
        size_graph(without_weights(with_input(shape)))


def test_a_model_that_takes_no_frames_is_refused() -> None:
    with pytest.raises(ArtifactError, match="1 inputs, the first with 2 dimensions"):
        size_graph(without_weights(with_input((1, 8))))


def test_an_engine_is_refused_by_its_product(tmp_path: Path) -> None:
    engine = tmp_path / "model.onnx"  # whatever its name
    engine.write_bytes(b"ftrt" + bytes(20) + bytes([10, 3, 0, 30]) + bytes(100))
    with pytest.raises(ArtifactError, match="is an engine of TensorRT; expected the ONNX model"):
        read_weightless(engine)


def test_what_was_built_for_onnx_runtime_is_refused(tmp_path: Path) -> None:
    node = helper.make_node("FusedConv", ["x"], ["y"], domain="com.microsoft")
    shape = (TensorProto.FLOAT, (1, 3, 8, 8))
    model = make_model([node], {"x": shape}, {"y": shape})
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    onnx.save(model, tmp_path / "built.onnx")
    with pytest.raises(ArtifactError, match=r"built for ONNX Runtime.*expected the portable"):
        read_weightless(tmp_path / "built.onnx")


def test_a_file_that_is_missing_or_no_model(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no file at"):
        read_weightless(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("not a model at all")
    with pytest.raises(ArtifactError, match="not a complete ONNX model"):
        read_weightless(tmp_path / "text.onnx")


def test_the_precision_of_a_graph() -> None:
    assert precision_of(size_graph(without_weights(two_convolutions()))) == "fp32"
    half = make_model(
        [helper.make_node("Conv", ["x", "w"], ["y"])],
        {"x": (TensorProto.FLOAT16, (1, 3, 8, 8))},
        {"y": (TensorProto.FLOAT16, (1, 4, 8, 8))},
        {"w": np.zeros((4, 3, 1, 1), np.float16)},
    )
    assert precision_of(size_graph(without_weights(half))) == "fp16"
