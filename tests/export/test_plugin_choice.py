"""Custom nodes: taken by plugins where there are any, written out where there are none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from onnx import ModelProto, TensorProto, helper

from export import plugin_choice
from export.functions import CORNER_POOL, DOMAIN
from export.onnx_graph import load_model
from export.plugin_choice import choose_plugins, write_out_nodes
from export.tensorrt_options import DecodeForm, PluginUse, TensorRTOptions
from plugins.library import PluginError, PluginLibrary, PluginName
from runtime.errors import BuildError
from runtime.manifest import PluginRecord
from tests.export.tiny_models import corner_pool_model, make_model, op_types

SHA = "ab" * 32
POOL = PluginName(CORNER_POOL, "1", DOMAIN)
DECODE = PluginName("CornerDecode", "1", DOMAIN)


def offer(monkeypatch: pytest.MonkeyPatch, *plugins: PluginName, error: str = "") -> None:
    """Pretend that a library with these plugins was built."""

    def load(api: Any, logger: Any, library: Path) -> PluginLibrary:
        if error:
            raise PluginError(error)
        return PluginLibrary(library, SHA, plugins)

    monkeypatch.setattr(plugin_choice, "find_library", lambda: Path("/plugins.so"))
    monkeypatch.setattr(plugin_choice, "load_plugins", load)


@pytest.fixture(autouse=True)
def no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin_choice, "find_library", lambda: None)


def pools() -> ModelProto:
    return corner_pool_model("top", (1, 2, 8, 8))


def choose(
    model: ModelProto,
    use: PluginUse = PluginUse.AUTO,
    precision: str = "fp32",
    decode: DecodeForm = DecodeForm.AUTO,
) -> Any:
    options = TensorRTOptions(plugins=use, decode=decode)
    return choose_plugins(model, None, None, options, precision)


def custom_nodes(model: ModelProto) -> list[str]:
    return sorted(node.op_type for node in model.graph.node if node.domain == DOMAIN)


def test_a_plugin_takes_its_node_and_the_body_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, POOL, DECODE)
    model = pools()
    choice = choose(model)
    assert custom_nodes(model) == [CORNER_POOL] and len(model.functions) == 0
    assert choice.records == (PluginRecord(CORNER_POOL, "1", SHA),)
    assert choice.remark == "with plugins CornerPool 1"


def test_without_a_library_the_node_is_written_out_and_the_summary_says_so() -> None:
    model = pools()
    choice = choose(model)
    assert op_types(model) == ["MaxPool"] and len(model.functions) == 0
    assert choice.records == () and choice.remark == "without plugin library: make plugins"


def test_a_variable_that_names_no_file_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORNERRT_PLUGINS", "/absent/plugins.so")
    assert "CORNERRT_PLUGINS names /absent/plugins.so" in choose(pools()).remark


@pytest.mark.parametrize(
    ("use", "precision", "error", "remark"),
    [
        (PluginUse.NO, "fp32", "", "plugins not asked for"),
        (PluginUse.AUTO, "bf16", "", "without plugins: they have no BF16"),
        (PluginUse.AUTO, "fp32", "it is damaged", "without plugins: it is damaged"),
    ],
)
def test_reasons_to_do_without(
    monkeypatch: pytest.MonkeyPatch, use: PluginUse, precision: str, error: str, remark: str
) -> None:
    offer(monkeypatch, POOL, error=error)
    model = pools()
    assert choose(model, use, precision).remark == remark
    assert custom_nodes(model) == []


@pytest.mark.parametrize(("precision", "reason"), [("fp32", "make plugins"), ("bf16", "no BF16")])
def test_plugins_that_were_demanded(precision: str, reason: str) -> None:
    with pytest.raises(BuildError, match=f"--plugins yes, but .*{reason}"):
        choose(pools(), PluginUse.YES, precision)


def test_a_model_without_custom_nodes_says_nothing() -> None:
    shape = (TensorProto.FLOAT, (1, 4))
    model = make_model([helper.make_node("Relu", ["x"], ["y"])], {"x": shape}, {"y": shape})
    assert choose(model, PluginUse.YES).remark == ""


def test_decoding_is_written_out_where_only_pooling_has_a_plugin(
    monkeypatch: pytest.MonkeyPatch, nano_onnx: Path
) -> None:
    offer(monkeypatch, POOL)
    model = load_model(nano_onnx)
    assert "CornerDecode" in custom_nodes(model)
    choice = choose(model)
    assert set(custom_nodes(model)) == {CORNER_POOL} and "TopK" in op_types(model)
    assert [record.name for record in choice.records] == [CORNER_POOL]


def test_both_plugins(monkeypatch: pytest.MonkeyPatch, nano_onnx: Path) -> None:
    offer(monkeypatch, DECODE, POOL)
    model = load_model(nano_onnx)
    choice = choose(model)
    assert set(custom_nodes(model)) == {CORNER_POOL, "CornerDecode"}
    assert len(model.functions) == 0
    assert {record.name for record in choice.records} == {CORNER_POOL, "CornerDecode"}


def test_decoding_by_graph_leaves_pooling_to_its_plugin(
    monkeypatch: pytest.MonkeyPatch, nano_onnx: Path
) -> None:
    offer(monkeypatch, DECODE, POOL)
    model = load_model(nano_onnx)
    choice = choose(model, decode=DecodeForm.GRAPH)
    assert set(custom_nodes(model)) == {CORNER_POOL} and "TopK" in op_types(model)
    assert [record.name for record in choice.records] == [CORNER_POOL]


def test_a_decoder_by_plugin_that_was_demanded(nano_onnx: Path) -> None:
    with pytest.raises(BuildError, match=r"--decode plugin, but .*make plugins"):
        choose(load_model(nano_onnx), decode=DecodeForm.PLUGIN)


def test_functions_of_other_origin_are_inlined() -> None:
    x, y = (TensorProto.FLOAT, (1, 4)), (TensorProto.FLOAT, (1, 4))
    model = make_model([helper.make_node("Twice", ["x"], ["y"], domain="else")], {"x": x}, {"y": y})
    body = [helper.make_node("Add", ["a", "a"], ["b"])]
    opsets = [helper.make_opsetid("", 19)]
    model.functions.append(helper.make_function("else", "Twice", ["a"], ["b"], body, opsets))
    model.opset_import.append(helper.make_opsetid("else", 1))
    write_out_nodes(model, ())
    assert op_types(model) == ["Add"] and len(model.functions) == 0
