"""What a device can do at most: arithmetic per second, bytes per second, cache, and who says so."""

from __future__ import annotations

import dataclasses
import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from runtime.errors import UsageError
from runtime.strict_json import StrictParser

# In the order of tables. TF32 is FP32 in memory, rounded to 10 bits of mantissa in tensor cores:
# what TensorRT does with an FP32 network unless it is told not to.
PRECISIONS = ("fp32", "tf32", "fp16", "bf16", "int8")
PEAKS_FORMAT = "cornerrt-peaks-1"
CEILINGS_FORMAT = "cornerrt-ceilings-1"
CUSTOM = "custom"


class Evidence(enum.Enum):
    """How good a figure is.

    Attributes:
        PUBLISHED: The manufacturer's document states it; read there or in a page that quotes it.
        DERIVED: Units times operations per clock times clock, all three published.
        UNVERIFIED: Heard of, not found in a document of the manufacturer: a label only.
        MEASURED: By a benchmark on the device.
        USER: From a file that the user named.
    """

    PUBLISHED = "published"
    DERIVED = "derived"
    UNVERIFIED = "unverified"
    MEASURED = "measured"
    USER = "user"


@dataclass(frozen=True)
class Figure:
    """A number and where it comes from.

    Attributes:
        value: The number; its unit is in the name of the field that holds it.
        evidence: How good it is.
        source: Document and what it states.
    """

    value: float
    evidence: Evidence
    source: str


@dataclass(frozen=True)
class Device:
    """The peaks of one device in one clock mode; a DLA beside the GPU is never counted.

    Attributes:
        name: What users type.
        title: Its full name.
        mode: Clocks, power mode and memory that the figures hold for.
        known_as: Parts of the names by which the device itself goes, such as "H200".
        tera_operations: Dense peak by precision, in 10^12 per second; multiply and add are two.
            A precision that the device has no arithmetic for is absent. "fp32" is that of the CUDA
            cores.
        gigabytes_per_second: Peak of the memory, 10^9 bytes per second.
        l2_mebibytes: Cache that all of the GPU shares; None if unknown.
    """

    name: str
    title: str
    mode: str
    known_as: tuple[str, ...]
    tera_operations: Mapping[str, Figure]
    gigabytes_per_second: Figure
    l2_mebibytes: Figure | None

    @property
    def l2_bytes(self) -> int | None:
        """Size of the cache in bytes; None if unknown."""
        return None if self.l2_mebibytes is None else int(self.l2_mebibytes.value * 2**20)

    def operations_per_second(self, precision: str) -> float:
        """Return the peak of matrix arithmetic.

        Raises:
            UsageError: If the device has no such arithmetic.
        """
        if precision not in self.tera_operations:
            raise UsageError(
                f"{self.name} has no {precision} arithmetic worth its name; it has "
                f"{', '.join(self.tera_operations)}; choose one: --precision"
            )
        return self.tera_operations[precision].value * 1e12

    @property
    def vector_operations_per_second(self) -> float:
        """Peak of everything but matrix arithmetic, for numbers of 32 bits, in CUDA cores."""
        return self.tera_operations["fp32"].value * 1e12

    @property
    def bytes_per_second(self) -> float:
        """Peak of the memory."""
        return self.gigabytes_per_second.value * 1e9


@dataclass(frozen=True)
class _PeaksFile:
    title: str
    mode: str
    source: str
    tera_operations: dict[str, float]
    gigabytes_per_second: float
    l2_mebibytes: float | None


@dataclass(frozen=True)
class _CeilingsFile:
    device: str
    source: str
    tera_operations: dict[str, float]
    gigabytes_per_second: float


def read_device(path: Path) -> Device:
    """Read a device of the user's from JSON, as ``--peaks`` names it.

    Keys: ``format`` ("cornerrt-peaks-1"), ``title``, ``mode``, ``source``, ``tera_operations`` (at
    least "fp32"), ``gigabytes_per_second``, and ``l2_mebibytes``, which may be null.

    Raises:
        UsageError: If the file cannot be read, or a key is missing, unknown or of another kind.
    """
    fields: _PeaksFile = _read(path, _PeaksFile, PEAKS_FORMAT)
    if "fp32" not in fields.tera_operations:
        raise UsageError(f"{path} has no tera_operations:fp32; expected it; add the FP32 peak")

    def figure(value: float) -> Figure:
        return Figure(value, Evidence.USER, fields.source)

    return Device(
        name=CUSTOM,
        title=fields.title,
        mode=fields.mode,
        known_as=(fields.title,),
        tera_operations={key: figure(value) for key, value in _ordered(fields.tera_operations)},
        gigabytes_per_second=figure(fields.gigabytes_per_second),
        l2_mebibytes=None if fields.l2_mebibytes is None else figure(fields.l2_mebibytes),
    )


def with_ceilings(device: Device, path: Path) -> Device:
    """Return the device with ceilings that were measured on it in place of those of its datasheet.

    The file is what a benchmark writes: ``format`` ("cornerrt-ceilings-1"), ``device`` (the name
    that the device itself gives), ``source`` (command and date), ``tera_operations`` (any
    precisions) and ``gigabytes_per_second``. What it does not hold stays as it is.

    Raises:
        UsageError: If the file cannot be read, a key is missing, unknown or of another kind, or the
            ceilings are of another device.
    """
    fields: _CeilingsFile = _read(path, _CeilingsFile, CEILINGS_FORMAT)
    if not is_called(device, fields.device):
        raise UsageError(
            f"{path} holds ceilings of {fields.device!r}; expected {device.title}; "
            "measure on the device, or name the one that it is of"
        )

    def figure(value: float) -> Figure:
        return Figure(value, Evidence.MEASURED, fields.source)

    measured = {key: figure(value) for key, value in _ordered(fields.tera_operations)}
    return dataclasses.replace(
        device,
        mode=f"ceilings measured: {fields.source}",
        tera_operations={**device.tera_operations, **measured},
        gigabytes_per_second=figure(fields.gigabytes_per_second),
    )


def is_called(device: Device, name: str) -> bool:
    """Say whether a name that a driver or a board gives is that of the device."""
    return any(part.lower() in name.lower() for part in device.known_as)


def _read(path: Path, kind: type[Any], wanted: str) -> Any:
    """Return a file of peaks or ceilings, its numbers checked."""
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no valid JSON"
        raise UsageError(f"cannot read {path} ({reason}); expected JSON in {wanted}") from None
    found = body.pop("format", None) if isinstance(body, dict) else None
    if found != wanted:
        raise UsageError(f"{path} has the format {found!r}; expected {wanted!r}; name another file")
    fields = StrictParser(UsageError, "add it").parse(kind, body, path.name)
    if unknown := set(fields.tera_operations) - set(PRECISIONS):
        raise UsageError(
            f"{path} has tera_operations of {', '.join(sorted(unknown))}; expected some of "
            f"{', '.join(PRECISIONS)}; correct the file"
        )
    numbers = {"gigabytes_per_second": fields.gigabytes_per_second, **fields.tera_operations}
    if (l2 := getattr(fields, "l2_mebibytes", None)) is not None:
        numbers["l2_mebibytes"] = l2
    for key, value in numbers.items():
        if not isfinite(value) or value <= 0:
            raise UsageError(f"{path} has {key} {value:g}; expected a number above 0; correct it")
    return fields


def _ordered(figures: Mapping[str, float]) -> list[tuple[str, float]]:
    return [(key, figures[key]) for key in PRECISIONS if key in figures]
