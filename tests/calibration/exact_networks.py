"""Small detectors whose every intermediate value is exact in float32, and their INT8 models.

Rounding amplifies noise: a sum that was added in another order can fall on the other side of a
step, and after fifty layers two runtimes of one INT8 model differ in every value. Here scales are
powers of two, weights small integers on finer grids and frames integers, so sums are exact in any
order, and what torch and ONNX Runtime compute must agree to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnxruntime
import torch
from onnx import ModelProto, helper
from torch import nn

from calibration.placement_rules import CONVOLUTIONS
from calibration.quantize import Quantizable, Ranges, observable, quantize_model
from calibration.quantize_rules import Placement
from calibration.weights import Granularity, QuantizedWeights
from detectors.blocks import ConvBlock, Residual
from detectors.cornernet import CHANNELS, CornerNet
from detectors.cornernet_nano import CornerNetNano
from detectors.fire import Fire
from detectors.hourglass import HourglassSpec, StackedHourglass, learned_upsample, nearest_upsample
from export.onnx_graph import GraphIndex
from export.surgery import keep_outputs
from export.torch_export import export_module
from export.wrapper import DeployModule, Normalisation
from runtime.contract import INPUT_NAME, MAP_NAMES, DecodeParams

SIZE = 64
# 1 / (255 * std) is 2^-7 and -mean / std is -1: normalised frames are exact.
NORMALISATION = Normalisation((128 / 255,) * 3, (128 / 255,) * 3)


def nano() -> nn.Module:
    return CornerNetNano(2)


def squeeze() -> nn.Module:
    """Fire modules, learned upsampling, two stacks, as CornerNet-Squeeze with fewer levels."""
    return _stacked(HourglassSpec((CHANNELS, 32, 32), (1, 1, 2), Fire, learned_upsample), 1)


def hourglass() -> nn.Module:
    """Residual blocks, nearest upsampling, two stacks, as CornerNet with fewer levels."""
    return _stacked(HourglassSpec((CHANNELS, 32, 48), (1, 1, 2), Residual, nearest_upsample), 3)


def _stacked(spec: HourglassSpec, head_kernel: int) -> nn.Module:
    stem = nn.Sequential(ConvBlock(7, 3, 16, stride=2), Residual(16, CHANNELS, stride=2))
    return CornerNet(StackedHourglass(stem, spec, 2), 2, head_kernel)


@dataclass(frozen=True)
class ExactDetector:
    """A detector with exact weights, its float export and its INT8 model."""

    network: nn.Module
    exported: ModelProto
    quantized: ModelProto


def make_exact(network: nn.Module, granularity: Granularity) -> ExactDetector:
    """Fill a network with exact weights, export it and quantize it with scales of powers of two."""
    random = np.random.default_rng(5)
    with torch.no_grad():
        for module in network.modules():
            _fill(module, random)
    exported = export(network)
    placement = Placement()
    thresholds = _thresholds(exported, observable(exported, placement))
    weights = _weights(exported, granularity)
    source = Quantizable(exported, Ranges({}, thresholds), weights=weights)
    return ExactDetector(network, exported, quantize_model(source, placement).model)


def export(network: nn.Module) -> ModelProto:
    """Return the float model of a network, frames to raw maps."""
    deployed = DeployModule(network.eval(), NORMALISATION, DecodeParams(5, 3, 0.5, 5))
    return keep_outputs(export_module(deployed, (SIZE, SIZE)), MAP_NAMES)


def exact_frames() -> np.ndarray:
    """Return one frame, uint8 (1, SIZE, SIZE, 3)."""
    return np.random.default_rng(6).integers(0, 256, (1, SIZE, SIZE, 3), dtype=np.uint8)


def exact_images() -> torch.Tensor:
    """Return the frame as the network takes it."""
    return torch.from_numpy(exact_frames()).permute(0, 3, 1, 2).float() / 128 - 1


def run_onnx(model: ModelProto, names: tuple[str, ...] = MAP_NAMES) -> dict[str, np.ndarray]:
    """Run a model on the frame, node by node as it is written."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return dict(zip(names, session.run(list(names), {INPUT_NAME: exact_frames()}), strict=True))


def _fill(module: nn.Module, random: np.random.Generator) -> None:
    """Draw weights that take a few bits; batch normalisation multiplies by powers of two."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        shape = tuple(module.weight.shape)
        module.weight.copy_(torch.from_numpy(random.integers(-14, 15, shape) / 64))
        if module.bias is not None:
            biases = random.integers(-8, 9, module.out_channels) / 8
            module.bias.copy_(torch.from_numpy(biases))
    elif isinstance(module, nn.BatchNorm2d):
        channels = module.num_features
        module.eps = 0.0
        module.running_var.copy_(torch.from_numpy(4.0 ** random.integers(0, 3, channels)))
        module.running_mean.copy_(torch.from_numpy(random.integers(-4, 5, channels) / 4))
        signs = random.choice([-1.0, 1.0], channels)
        module.weight.copy_(torch.from_numpy(signs * 2.0 ** random.integers(-1, 2, channels)))
        module.bias.copy_(torch.from_numpy(random.integers(-8, 9, channels) / 8))


def _thresholds(model: ModelProto, tensors: list[str]) -> dict[str, float]:
    """Return thresholds with power-of-two scales that clip the largest values of each tensor."""
    shown = ModelProto()
    shown.CopyFrom(model)
    del shown.graph.output[:]
    shown.graph.output.extend(helper.make_tensor_value_info(name, 1, None) for name in tensors)
    values = run_onnx(shown, tuple(tensors))
    peaks = {name: max(float(np.abs(value).max()), 1e-3) for name, value in values.items()}
    return {name: 127 * 2.0 ** np.floor(np.log2(peak / 127)) for name, peak in peaks.items()}


def _weights(model: ModelProto, granularity: Granularity) -> dict[str, QuantizedWeights]:
    """Round every convolution's weights to a grid of powers of two, about twice as coarse."""
    index = GraphIndex.of(model.graph)
    rounded = {}
    for node in model.graph.node:
        values = index.constant(node.input[1]) if node.op_type in CONVOLUTIONS else None
        if values is None:
            continue
        axis = 0 if node.op_type == "Conv" else 1
        others = tuple(i for i in range(4) if i != axis)
        per_tensor = granularity is Granularity.PER_TENSOR
        peaks = np.abs(values).max(axis=None if per_tensor else others, keepdims=True)
        scales = 2.0 ** np.floor(np.log2(np.maximum(peaks, 2.0**-10) / 7))
        steps = np.clip(np.rint(values / scales), -127, 127).astype(np.int8)
        flat = np.float32(scales.reshape(-1)[0]) if per_tensor else scales.reshape(-1)
        rounded[node.output[0]] = QuantizedWeights(steps, np.asarray(flat, np.float32), axis)
    return rounded
