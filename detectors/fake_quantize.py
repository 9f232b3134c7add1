"""A network that computes as its INT8 model will, and learns all the same.

Values are rounded to their grid and stay float32; the gradient passes through the rounding as if it
were not there, and is 0 where a value was clipped. Statistics of batch normalisation are frozen:
they are folded into the rounded weights.

Source: Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", arXiv:1712.05877, section 3; straight-through gradients after
Bengio et al., arXiv:1308.3432.
"""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

from detectors.fake_quantize_additions import round_additions
from detectors.fake_quantize_layers import (
    FakeQuantizedConvolution,
    FrozenBatchNorm,
    InputRounding,
    OutputRounding,
    output_axis,
)
from detectors.int8_plan import ConvolutionScales, Int8Plan
from detectors.network_facts import NetworkFacts, NormPart, find_facts
from runtime.errors import CalibrationError

# Weights that lose more than this share of their norm on a grid are not those it was made for:
# 8 bits cost about a hundredth.
LARGEST_WEIGHT_LOSS = 0.5


def fake_quantize(network: nn.Module, plan: Int8Plan) -> nn.Module:
    """Let a network round what its INT8 model rounds, where that model rounds it.

    Names and values of ``state_dict()`` stay: weights are read and written as of any other float
    network.

    Args:
        network: Of the detector that the plan names; changed in place.
        plan: What is rounded.

    Returns:
        The same network.

    Raises:
        CalibrationError: If the network lacks a module or an addition of the plan, or a convolution
            has other channels.
    """
    facts = find_facts(network)
    _require_all(network, plan, facts)
    for path, module in list(network.named_modules()):
        if isinstance(module, nn.BatchNorm2d):
            network.set_submodule(path, FrozenBatchNorm(module))
    for path, scales in plan.convolutions.items():
        convolution = network.get_submodule(path)
        _require_channels(path, convolution, scales)
        norm = _norm_behind(network, facts.norms.get(path))
        network.set_submodule(path, FakeQuantizedConvolution(convolution, scales, norm))
    for path, scale in plan.modules.items():
        network.get_submodule(path).register_forward_pre_hook(InputRounding(scale))
    for path, scale in plan.joined.items():
        part = facts.norms[path]
        rounding = OutputRounding(scale, slice(part.first, part.first + part.channels))
        network.get_submodule(part.norm).register_forward_hook(rounding)
    round_additions(network, plan.additions)
    return network


def check_weights(network: nn.Module) -> None:
    """Refuse weights that lie far from the grids they are rounded to.

    Args:
        network: After ``fake_quantize``, with its weights loaded.

    Raises:
        CalibrationError: For the first such convolution.
    """
    for path, module in network.named_modules():
        lost = module.weight_loss() if isinstance(module, FakeQuantizedConvolution) else 0.0
        if lost > LARGEST_WEIGHT_LOSS:
            raise CalibrationError(
                f"the weights of {path} lose {lost:.0%} of their norm on the "
                "plan's grid; expected a hundredth or so; make the plan from these weights, "
                "quantized with --effort fast"
            )


def _norm_behind(network: nn.Module, part: NormPart | None) -> tuple[FrozenBatchNorm, int] | None:
    return None if part is None else (network.get_submodule(part.norm), part.first)


def _require_all(network: nn.Module, plan: Int8Plan, facts: NetworkFacts) -> None:
    """Refuse a plan that names what the network does not have."""
    modules = dict(network.named_modules())
    convolutions = {
        path for path, m in modules.items() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)
    }
    _require(plan, "convolution", plan.convolutions, convolutions)
    _require(plan, "module", plan.modules, modules)
    _require(plan, "normalised convolution", plan.joined, facts.norms)
    _require(plan, "addition", plan.additions, facts.additions)


def _require(plan: Int8Plan, kind: str, wanted: Iterable[str], present: Iterable[str]) -> None:
    if absent := sorted(set(wanted) - set(present)):
        raise CalibrationError(
            f"the plan of {plan.model} rounds {len(absent)} {kind}s that this network lacks, "
            f"{absent[0]!r} first; expected the same detector; make a plan of this one"
        )


def _require_channels(path: str, convolution: nn.Module, scales: ConvolutionScales) -> None:
    channels = convolution.weight.shape[output_axis(convolution)]
    if len(scales.weights) not in (1, channels):
        raise CalibrationError(
            f"the plan has {len(scales.weights)} scales for {path}; expected 1 or {channels}; "
            "make a plan of this network"
        )
