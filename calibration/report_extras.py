"""What others measured for the report: sensitivity and latency, read from their JSON files."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calibration.report_subjects import Subject
from calibration.sensitivity_table import METRICS
from detectors.evaluation_report import FORMAT as EVALUATION
from runtime.errors import CalibrationError

BENCHMARK = "cornerrt-benchmark-1"


@dataclass(frozen=True)
class Loss:
    """How much one node or block matters.

    Attributes:
        name: Of the node or block.
        only_int8: What is lost when only it is in INT8.
        only_float: What is gained when only it returns to float.
    """

    name: str
    only_int8: float
    only_float: float


@dataclass(frozen=True)
class Sensitivity:
    """The result of a sensitivity analysis.

    Attributes:
        unit: Of all losses, for people.
        images: Images that it was measured on.
        blocks: Losses by block, the most sensitive first.
        nodes: Losses by node, likewise.
    """

    unit: str
    images: int
    blocks: tuple[Loss, ...]
    nodes: tuple[Loss, ...]


@dataclass(frozen=True)
class Latency:
    """One measured latency.

    Attributes:
        label: What was measured.
        median_ms: The figure.
        quartiles_ms: Around it; None where only a mean was taken.
        where: Machine and date, or how it came about.
        is_subject: Whether the file measured is one of the report's.
    """

    label: str
    median_ms: float
    quartiles_ms: tuple[float, float] | None
    where: str
    is_subject: bool


def read_sensitivity(path: Path) -> Sensitivity:
    """Read the JSON of ``calibration.sensitivity``.

    Raises:
        CalibrationError: If the file is missing or not such a file.
    """
    body = _read_object(path, "the JSON of python -m calibration.sensitivity")
    try:
        name, unit, scale = METRICS[body["metric"]]
        blocks, nodes = (
            tuple(_loss(entry, kind, scale) for entry in body[f"{kind}s"])
            for kind in ("block", "node")
        )
        return Sensitivity(f"{unit} of {name}", int(body["images"]), blocks, nodes)
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise CalibrationError(
            f"{path} is no sensitivity analysis ({error!r}); expected the JSON of python -m "
            "calibration.sensitivity; make it again: make sensitivity"
        ) from None


def read_latency(path: Path, subjects: Mapping[str, Subject], data_sha256: str) -> list[Latency]:
    """Read the JSON of a benchmark or of ``detectors.evaluate``.

    Args:
        path: The file.
        subjects: The models of the report.
        data_sha256: Digest of the report's annotations: an evaluation must be on the same images.

    Raises:
        CalibrationError: If the file is missing, of another kind, or of other images.
    """
    expected = "the JSON of a benchmark or of python -m detectors.evaluate --json"
    body = _read_object(path, expected)
    kind = body.get("format")
    try:
        if kind == BENCHMARK:
            return _benchmark(body, subjects)
        if kind == EVALUATION:
            return _evaluation(path, body, subjects, data_sha256)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise CalibrationError(
            f"{path} is not complete ({error!r}); expected {expected}; measure again"
        ) from None
    raise CalibrationError(f"{path} says format {kind!r}; expected {expected}; give another file")


def _loss(entry: Mapping[str, Any], kind: str, scale: float) -> Loss:
    values = scale * float(entry["only_int8"]), scale * float(entry["only_float"])
    if not all(map(math.isfinite, values)):
        raise ValueError(f"{entry[kind]} has no finite loss")
    return Loss(str(entry[kind]), *values)


def _benchmark(body: Mapping[str, Any], subjects: Mapping[str, Subject]) -> list[Latency]:
    machine = body["machine"]
    where = (
        f"{machine['cpu']}, {machine['cores']} cores, GPU {machine['gpu']}; {body['started'][:10]}"
    )
    digests = body.get("settings", {}).get("artifact_sha256", {})
    ours = {subject.contract.artifact_sha256 for subject in subjects.values()}
    name = body["benchmark"]
    return [
        Latency(
            f"{name}: {label}",
            float(spread["median"]),
            (float(spread["q1"]), float(spread["q3"])),
            where,
            isinstance(digests, dict) and digests.get(label) in ours,
        )
        for label, spread in body["samples_ms"].items()
    ]


def _evaluation(
    path: Path, body: Mapping[str, Any], subjects: Mapping[str, Subject], data_sha256: str
) -> list[Latency]:
    if body["data"]["sha256"] != data_sha256:
        raise CalibrationError(
            f"{path} was evaluated on {body['data']['annotations']}, other images than the "
            "report's; expected the same; evaluate again on --data"
        )
    if body["network_ms"] is None:
        return []
    ours = {subject.contract.artifact_sha256 for subject in subjects.values()}
    where = "mean over an evaluation, beside reading and resizing of images"
    same = body["options"]["sha256"] in ours
    return [Latency(f"evaluation: {body['model']}", float(body["network_ms"]), None, where, same)]


def _read_object(path: Path, expected: str) -> dict[str, Any]:
    try:
        body = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise CalibrationError(
            f"no {path}; expected {expected}; make it, or check the path"
        ) from None
    except (ValueError, RecursionError) as error:
        raise CalibrationError(f"{path} is not JSON ({error}); expected {expected}") from None
    if not isinstance(body, dict):
        raise CalibrationError(f"{path} holds no JSON object; expected {expected}; make it again")
    return body
