"""Tests of the custom node's meaning: every form equals the reference bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from export.functions import (
    CORNER_POOL,
    DOMAIN,
    CornerPoolForm,
    attach_corner_pool,
    corner_pool_attributes,
    corner_pool_function,
    inline_corner_pool,
    make_corner_pool,
)
from plugins.reference import WALKS, corner_pool
from runtime.errors import ExportError
from tests.export.tiny_models import corner_pool_model, make_model, op_types, run

GOLDEN = Path(__file__).parents[1] / "data" / "golden" / "corner_pool.npz"
FORMS = [None, *CornerPoolForm]
NUMPY_TYPES = {
    TensorProto.FLOAT: np.float32,
    TensorProto.FLOAT16: np.float16,
    TensorProto.INT8: np.int8,
}


def build(direction: str, shape: tuple, form: CornerPoolForm | None, elem: int) -> onnx.ModelProto:
    model = corner_pool_model(direction, shape, elem)
    return model if form is None else inline_corner_pool(model, form)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("direction", WALKS)
def test_every_form_equals_the_golden_data(direction: str, form: CornerPoolForm | None) -> None:
    golden = np.load(GOLDEN)
    cases = sorted({key.split("/")[0] for key in golden.files})
    assert len(cases) > 5
    for case in cases:
        x = golden[f"{case}/x"]
        (y,) = run(build(direction, x.shape, form, TensorProto.FLOAT), x=x)
        want = golden[f"{case}/{direction}_y"]
        if form is CornerPoolForm.MAX_POOL:  # may start from the lowest finite number
            y, want = (np.maximum(a, np.finfo(np.float32).min) for a in (y, want))
        np.testing.assert_array_equal(y, want, err_msg=case)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("elem", NUMPY_TYPES)
@pytest.mark.parametrize("direction", WALKS)
def test_forms_serve_all_element_types(
    direction: str, elem: int, form: CornerPoolForm | None
) -> None:
    for shape in ((2, 3, 5, 7), (1, 1, 1, 4), (1, 1, 4, 1), (1, 2, 1, 1)):
        x = np.random.default_rng(0).integers(-128, 128, shape).astype(NUMPY_TYPES[elem])
        (y,) = run(build(direction, shape, form, elem), x=x)
        assert y.dtype == x.dtype
        np.testing.assert_array_equal(y, corner_pool(x, direction))


@pytest.mark.parametrize("form", FORMS)
def test_batch_may_be_dynamic(form: CornerPoolForm | None) -> None:
    model = build("left", ("N", 2, 3, 4), form, TensorProto.FLOAT)
    for batch in (1, 3):
        x = np.random.default_rng(batch).standard_normal((batch, 2, 3, 4), np.float32)
        np.testing.assert_array_equal(run(model, x=x)[0], corner_pool(x, "left"))


def test_function_body_serves_dynamic_height_and_width() -> None:
    model = corner_pool_model("top", ("N", "C", "H", "W"))
    for shape in ((1, 2, 3, 4), (2, 1, 6, 1)):
        x = np.random.default_rng(0).standard_normal(shape, np.float32)
        np.testing.assert_array_equal(run(model, x=x)[0], corner_pool(x, "top"))


@pytest.mark.parametrize("form", CornerPoolForm)
def test_inlining_needs_a_fixed_height_and_width(form: CornerPoolForm) -> None:
    model = corner_pool_model("top", ("N", 2, "H", 4))
    with pytest.raises(ExportError, match="'pool' has size 'H'"):
        inline_corner_pool(model, form)


def test_inlining_leaves_no_trace_of_the_custom_domain() -> None:
    model = build("right", (1, 1, 2, 5), CornerPoolForm.MAX_POOL, TensorProto.FLOAT)
    assert op_types(model) == ["MaxPool"]
    assert [entry.domain for entry in model.opset_import] == [""]
    assert not model.functions


def test_inlined_nodes_stand_where_their_results_are_read() -> None:
    nodes = [make_corner_pool("x", "a", "top"), make_corner_pool("a", "y", "left")]
    kind = (TensorProto.FLOAT, (1, 1, 3, 3))
    model = make_model(nodes, {"x": kind}, {"y": kind})
    x = np.random.default_rng(0).standard_normal(kind[1], np.float32)
    want = corner_pool(corner_pool(x, "top"), "left")
    for form in CornerPoolForm:
        copy = onnx.ModelProto()
        copy.CopyFrom(model)
        np.testing.assert_array_equal(run(inline_corner_pool(copy, form), x=x)[0], want)


def test_inlining_a_graph_without_the_node_changes_nothing() -> None:
    kind = (TensorProto.FLOAT, (1,))
    model = make_model([onnx.helper.make_node("Relu", ["x"], ["y"])], {"x": kind}, {"y": kind})
    before = model.SerializeToString(deterministic=True)
    inline_corner_pool(model, CornerPoolForm.MAX_POOL)
    assert model.SerializeToString(deterministic=True) == before


def test_attributes_name_the_plugin_and_the_direction() -> None:
    attributes = corner_pool_attributes("bottom")
    assert attributes["direction"] == "bottom"
    assert attributes["plugin_version"] == "1"
    assert attributes["plugin_namespace"] == DOMAIN


def test_unknown_direction_is_refused() -> None:
    with pytest.raises(ExportError, match="got direction 'up'; expected one of top, bottom"):
        corner_pool_attributes("up")


def test_one_function_serves_all_directions() -> None:
    kind = (TensorProto.FLOAT, (1, 2, 4, 3))
    names = [*WALKS]
    nodes = [make_corner_pool("x", name, name) for name in names]
    model = make_model(nodes, {"x": kind}, dict.fromkeys(names, kind))
    x = np.random.default_rng(0).standard_normal(kind[1], np.float32)
    for name, y in zip(names, run(model, x=x), strict=True):
        np.testing.assert_array_equal(y, corner_pool(x, name))
    assert [(f.domain, f.name) for f in model.functions] == [(DOMAIN, CORNER_POOL)]


def test_attaching_twice_adds_one_function() -> None:
    model = corner_pool_model("top", (1, 1, 2, 2))
    attach_corner_pool(model)
    assert len(model.functions) == 1
    assert sum(entry.domain == DOMAIN for entry in model.opset_import) == 1


def test_tensor_names_inside_the_function_are_its_own() -> None:
    # Some TensorRT parsers mix up inner and outer names that are the same.
    names = {name for node in corner_pool_function().node for name in [*node.input, *node.output]}
    assert all(name.startswith("corner_pool_") for name in names)
