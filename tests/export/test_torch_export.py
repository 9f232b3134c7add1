"""Tests of tracing: the custom node, its attributes, and modules that cannot be traced."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn

from export.functions import corner_pool_attributes, is_corner_pool
from export.onnx_graph import load_model, module_of
from export.surgery import keep_outputs
from export.torch_export import export_module
from export.wrapper import DeployModule, Normalisation
from runtime.contract import MAP_NAMES, DecodeParams
from runtime.errors import ExportError


class BranchesOnPixels(nn.Module):
    """A detector that torch cannot trace."""

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        if images.sum() > 0:
            images = images + 1
        return dict.fromkeys(MAP_NAMES, images)


class OneConvolution(nn.Module):
    """A detector whose maps are the channels of one convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 8, 4, 4)
        self.norm = nn.BatchNorm2d(8)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        maps = self.norm(self.convolution(images)).split((1, 1, 1, 1, 2, 2), dim=1)
        return dict(zip(MAP_NAMES, maps, strict=True))


def test_corner_pool_is_one_node_with_its_attributes(nano_onnx: Path) -> None:
    model = load_model(nano_onnx)
    nodes = [node for node in model.graph.node if is_corner_pool(node)]
    found = []
    for node in nodes:
        values = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        direction = values["direction"].decode()
        want = corner_pool_attributes(direction)
        assert {k: v.decode() if isinstance(v, bytes) else v for k, v in values.items()} == want
        found.append((module_of(node), direction))
    assert found == [
        ("tl_module.pool1", "top"),
        ("tl_module.pool2", "left"),
        ("br_module.pool1", "bottom"),
        ("br_module.pool2", "right"),
    ]
    assert sorted(function.name for function in model.functions) == ["CornerDecode", "CornerPool"]


def test_raw_maps_keep_their_names_inside_the_graph(nano_onnx: Path) -> None:
    model = keep_outputs(load_model(nano_onnx), MAP_NAMES)
    assert [value.name for value in model.graph.output] == list(MAP_NAMES)
    assert not [node for node in model.graph.node if module_of(node) == "decode"]


def test_weights_keep_the_names_of_the_state_dict(nano_onnx: Path, nano_weights: Path) -> None:
    names = {tensor.name for tensor in load_model(nano_onnx).graph.initializer}
    assert {"stem.0.conv.weight", "stem.0.conv.bias", "heads.br_off.1.bias"} <= names
    assert not [name for name in names if name.startswith("detector.")]


def test_untraceable_detector_is_an_export_error() -> None:
    normalisation = Normalisation((0.0,) * 3, (1.0,) * 3)
    module = DeployModule(BranchesOnPixels(), normalisation, DecodeParams(4, 3, 0.5, 4)).eval()
    with pytest.raises(ExportError, match="torch cannot trace the model at 8x16") as caught:
        export_module(module, (8, 16))
    assert "\n" not in str(caught.value)
    assert torch.is_grad_enabled()


def test_weights_stay_in_the_model_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """What torch's exporter leaves behind would be 0.8 GB of hourglass-104, until it is done."""
    programs = []
    real_export = torch.onnx.export

    def remembering_export(*arguments: Any, **options: Any) -> Any:
        programs.append(real_export(*arguments, **options))
        return programs[-1]

    monkeypatch.setattr(torch.onnx, "export", remembering_export)
    normalisation = Normalisation((0.0,) * 3, (1.0,) * 3)
    module = DeployModule(OneConvolution(), normalisation, DecodeParams(4, 3, 0.5, 4)).eval()
    model = export_module(module, (16, 32))
    (weight,) = (t for t in model.graph.initializer if t.name == "convolution.weight")
    assert numpy_helper.to_array(weight).shape == (8, 3, 4, 4)
    (program,) = programs
    assert program.model.graph.initializers
    assert all(v.const_value is None for v in program.model.graph.initializers.values())
