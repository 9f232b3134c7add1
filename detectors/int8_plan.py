"""What an INT8 model rounds, by the names of torch modules: the file between calibration and QAT.

``python -m calibration.quantization_plan`` reads it off a quantized model, ``detectors.train
--qat`` trains with it, and ``calibration.quantize_by_plan`` writes the same quantize and dequantize
nodes into the export of the trained weights.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from runtime.atomic_file import write_text
from runtime.errors import CalibrationError

FORMAT = "cornerrt-int8-plan-1"
# Grids are float32; subnormal steps would overflow where weights are divided by them. Thresholds,
# which become steps that are not, may be as small as they were seen.
TINY, SMALLEST, LARGEST = 2.0**-149, 2.0**-126, 2.0**127


@dataclass(frozen=True)
class ConvolutionScales:
    """The grids of one INT8 convolution.

    Attributes:
        input: Step of its input's grid.
        weights: Steps of its weights' grid, batch normalisation folded in: one per output channel,
            or a single one for all.
    """

    input: float
    weights: tuple[float, ...]


@dataclass(frozen=True)
class Int8Plan:
    """Every rounding of an INT8 model, as the network computes it in torch.

    Attributes:
        model: Name of the detector in the registry.
        source_sha256: Digest of the INT8 model that the plan was read off.
        convolutions: Scales by the convolution's module.
        modules: Step of the input's grid, by the pooling or upsampling module that reads it.
        joined: Step of the grid on which a concatenation reads what a convolution writes, batch
            normalisation folded in, by the convolution's module.
        additions: Steps of both operands' grids, None for one that stays float, by the addition:
            ``module.path/Add`` is the first one in that module's ``forward``, ``module.path/Add_1``
            the second.
        thresholds: Clipping thresholds by ONNX tensor, those that only some targets need included.
        left_float: Convolutions that are not INT8, by ONNX name, and the rule that kept each.
    """

    model: str
    source_sha256: str
    convolutions: Mapping[str, ConvolutionScales]
    modules: Mapping[str, float]
    joined: Mapping[str, float]
    additions: Mapping[str, tuple[float | None, float | None]]
    thresholds: Mapping[str, float]
    left_float: Mapping[str, str]

    def digest(self) -> str:
        """Return a SHA-256 over the contents, whatever the file's layout."""
        return hashlib.sha256(_to_json(self).encode()).hexdigest()


def write_plan(plan: Int8Plan, path: Path) -> None:
    """Write a plan as JSON, completely or not at all."""
    write_text(path, _to_json(plan) + "\n")


def read_plan(path: Path) -> Int8Plan:
    """Read a plan.

    Raises:
        CalibrationError: If the file is missing or no plan, or a key is missing, unknown or has a
            value that makes no sense; names the key.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CalibrationError(
            f"no plan at {path}; make one: python -m calibration.quantization_plan"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise CalibrationError(f"cannot read the plan {path} ({error}); make it again") from None
    try:
        return _plan_from(content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"no key {error}" if isinstance(error, KeyError) else error
        raise CalibrationError(
            f"{path} is no INT8 plan ({reason}); expected what python -m "
            "calibration.quantization_plan writes; make it again"
        ) from None


def _to_json(plan: Int8Plan) -> str:
    return json.dumps({"format": FORMAT} | asdict(plan), indent=1)


def _plan_from(content: dict[str, Any]) -> Int8Plan:
    """Build a plan from JSON; raises what Python does for a value of the wrong kind."""
    _require_keys(content, {"format", *Int8Plan.__dataclass_fields__})
    if content["format"] != FORMAT:
        raise ValueError(f"format {content['format']!r} instead of {FORMAT!r}")
    for name in ("model", "source_sha256"):
        _text(name, content[name])
    return Int8Plan(
        content["model"],
        content["source_sha256"],
        {name: _scales_from(name, value) for name, value in content["convolutions"].items()},
        {name: _positive(name, value) for name, value in content["modules"].items()},
        {name: _positive(name, value) for name, value in content["joined"].items()},
        {name: _operands(name, value) for name, value in content["additions"].items()},
        {name: _positive(name, value, TINY) for name, value in content["thresholds"].items()},
        {name: _text(name, value) for name, value in content["left_float"].items()},
    )


def _scales_from(name: str, value: dict[str, Any]) -> ConvolutionScales:
    _require_keys(value, set(ConvolutionScales.__dataclass_fields__))
    weights = tuple(_positive(name, scale) for scale in value["weights"])
    if not weights:
        raise ValueError(f"{name} has no scales of weights")
    return ConvolutionScales(_positive(name, value["input"]), weights)


def _operands(name: str, values: list[Any]) -> tuple[float | None, float | None]:
    first, second = (None if value is None else _positive(name, value) for value in values)
    return first, second


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} is no text")
    return value


def _positive(name: str, value: Any, smallest: float = SMALLEST) -> float:
    known = isinstance(value, int | float) and not isinstance(value, bool)
    if not known or not smallest <= value <= LARGEST:
        raise ValueError(f"{name} has {value!r:.40} instead of a positive number of 32 bits")
    return float(value)


def _require_keys(content: dict[str, Any], expected: set[str]) -> None:
    """Refuse the first key that is missing or unknown."""
    for name in sorted(expected):
        if name not in content:
            raise KeyError(name)
    for name in content:
        if name not in expected:
            raise ValueError(f"unknown key {name!r}")
