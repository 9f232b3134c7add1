"""CornerNet-Saccade from published weights to a graph and an engine, with its attention maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import ModelProto
from torch import Tensor, nn

from detectors.cornernet_saccade import CornerNetSaccade
from export.build_engine import main as build
from export.compare import run_torch
from export.detector_source import DetectorSource
from export.export_onnx import main as export
from export.precision import convert_to_fp16
from export.precision_rules import kept_nodes
from export.surgery import keep_outputs
from export.torch_export import export_module
from export.wrapper import DeployModule, Normalisation
from runtime.backend_onnxruntime import OnnxRuntimeBackend
from runtime.backend_saccade import SaccadeBackend
from runtime.contract import (
    ATTENTION_NAMES,
    DETECTION_NAMES,
    MAP_NAMES,
    DecodeParams,
    TensorSpec,
    read_contract,
)
from runtime.saccade import SaccadeOptions
from tests.detectors.deterministic_weights import build_filled
from tests.export.rtx import needs_rtx
from tests.export.tiny_models import run

SIZE_HW = (32, 64)
PARAMS = DecodeParams(20, 3, 0.5, 40, drop_border=True)


class TinyAttentive(nn.Module):
    """A detector of one convolution per map, three of them attention; its offsets are 0."""

    def __init__(self) -> None:
        super().__init__()
        sizes = dict(zip(MAP_NAMES, ((3, 4), (3, 4), (1, 4), (1, 4), (2, 4), (2, 4)), strict=True))
        sizes |= dict(zip(ATTENTION_NAMES, ((1, 16), (1, 8), (1, 4)), strict=True))
        self.heads = nn.ModuleDict({n: nn.Conv2d(3, c, s, s) for n, (c, s) in sizes.items()})
        for name in ("tl_off", "br_off"):
            nn.init.zeros_(self.heads[name].weight)
            nn.init.zeros_(self.heads[name].bias)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {name: head(images) for name, head in self.heads.items()}


@pytest.fixture(scope="module")
def tiny() -> tuple[DeployModule, bytes]:
    """A traced detector with attention, and its graph."""
    torch.manual_seed(1)
    normalisation = Normalisation((0.5,) * 3, (0.1,) * 3)
    module = DeployModule(TinyAttentive(), normalisation, PARAMS, ATTENTION_NAMES).eval()
    model = keep_outputs(export_module(module, SIZE_HW), (*DETECTION_NAMES, *ATTENTION_NAMES))
    return module, model.SerializeToString()


def frames(count: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (count, *SIZE_HW, 3), np.uint8)


@pytest.mark.parametrize("batch", [1, 3])
def test_a_graph_gives_what_pytorch_gives(tiny: tuple[DeployModule, bytes], batch: int) -> None:
    module, graph = tiny
    with torch.inference_mode():
        wanted = dict(
            zip(module.output_names, module(torch.from_numpy(frames(batch))), strict=True)
        )
    names = (*DETECTION_NAMES, *ATTENTION_NAMES)
    got = dict(zip(names, run(_parse(graph), frames=frames(batch)), strict=True))
    assert (got["scores"] > 0).any()
    for name in ("scores", *ATTENTION_NAMES):
        np.testing.assert_allclose(got[name], wanted[name], atol=1e-5)


def test_the_border_rule_is_in_the_graph(tiny: tuple[DeployModule, bytes]) -> None:
    boxes, scores, *_ = run(_parse(tiny[1]), frames=frames(8))
    found = boxes[scores > 0]
    assert len(found) > 20
    assert found[:, :2].min() == 4  # the second cell
    assert found[:, 2].max() == 56  # the last but one of 16
    assert found[:, 3].max() == 24


def test_half_precision_keeps_attention_scores_single(tiny: tuple[DeployModule, bytes]) -> None:
    model = convert_to_fp16(_parse(tiny[1]))
    kept = {node.node: node.rule for node in kept_nodes(model)}
    sigmoids = {name: rule for name, rule in kept.items() if name.startswith("attention/")}
    assert len(sigmoids) == 3
    assert set(sigmoids.values()) == {"peaks"}
    exact, half = (run(m, frames=frames(2))[-3:] for m in (_parse(tiny[1]), model))
    for was, now in zip(exact, half, strict=True):
        assert now.dtype == np.float32
        np.testing.assert_allclose(now, was, atol=0.02)


def _parse(graph: bytes) -> ModelProto:
    return ModelProto.FromString(graph)


class CountingBackend(OnnxRuntimeBackend):
    """Remembers how many frames each call had."""

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        self.batches: list[int] = []

    def _run(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        self.batches.append(len(batch))
        return super()._run(batch)


@pytest.fixture(scope="module")
def saccade_onnx(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The published layout with deterministic weights, and its graph: 0.9 GB, half a minute."""
    folder = tmp_path_factory.mktemp("saccade")
    weights, graph = folder / "CornerNet_Saccade.pkl", folder / "saccade.onnx"
    state = build_filled(lambda: CornerNetSaccade(80)).state_dict()
    torch.save({f"module.{key}": value for key, value in state.items()}, weights)
    options = ["--model", "cornernet-saccade", "--weights", str(weights), "--out", str(graph)]
    assert export(options) == 0
    return weights, graph


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_published_weights_become_a_graph_that_looks_twice(
    saccade_onnx: tuple[Path, Path],
) -> None:
    weights, graph = saccade_onnx
    contract = read_contract(graph)
    assert contract.has_attention
    assert contract.decode.drop_border
    assert contract.outputs[-1] == TensorSpec("att2", "float32", ("N", 1, 64, 64))
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (2, 255, 255, 3), np.uint8)
    wanted = run_torch(contract, DetectorSource(contract.name, weights), images)
    network = CountingBackend(2)
    backend = SaccadeBackend(network, SaccadeOptions(max_crops=3))
    backend.open(graph)
    got = backend.infer(images)
    for name in ("scores", *ATTENTION_NAMES):
        np.testing.assert_allclose(got[name], wanted[name], atol=1e-4)
    network.batches.clear()
    backend.infer_prepared(backend.prepare(images[0]))
    assert network.batches == [2, 3]
    backend.close()


@needs_rtx
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_an_engine_without_plugins_is_built(
    saccade_onnx: tuple[Path, Path], tmp_path: Path
) -> None:
    engine = tmp_path / "saccade.engine"
    options = ["--onnx", str(saccade_onnx[1]), "--out", str(engine), "--target", "tensorrt-rtx"]
    assert build([*options, "--target-sm", "89", "--plugins", "no", "--batch", "1", "8", "32"]) == 0
    contract = read_contract(engine)
    assert contract.has_attention
    assert contract.engine is not None
    assert contract.engine.plugins == ()
