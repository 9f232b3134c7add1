"""A measurement as JSON: for CI, for pages, and as the baseline of a later one."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from runtime.atomic_file import write_text
from runtime.errors import UsageError
from runtime.measurement import FORMAT, Measurement
from runtime.strict_json import StrictParser

MEASURE_AGAIN = "measure again: python runtime/measure.py ARTIFACT --json F.json"
_PARSER = StrictParser(UsageError, MEASURE_AGAIN)


def measurement_json(measurement: Measurement) -> str:
    """Return a measurement as JSON text, with its format first."""
    body = {"format": FORMAT, **dataclasses.asdict(measurement)}
    return json.dumps(body, indent=1, allow_nan=False) + "\n"


def write_measurement(measurement: Measurement, path: Path) -> None:
    """Write a measurement completely or not at all; raises ``OSError`` if it cannot be."""
    write_text(path, measurement_json(measurement))


def read_measurement(path: Path) -> Measurement:
    """Read what ``write_measurement`` wrote.

    Raises:
        UsageError: If the file is missing, no JSON, of another format or version, or lacks a key,
            or a round has no frames.
    """
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read ({error.strerror}); expected a measurement; {MEASURE_AGAIN}"
        ) from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not JSON ({error}); {MEASURE_AGAIN}") from None
    got = body.pop("format", None) if isinstance(body, dict) else None
    if got != FORMAT:
        raise UsageError(f"{path} says format {got!r}; expected {FORMAT!r}; {MEASURE_AGAIN}")
    measurement: Measurement = _PARSER.parse(Measurement, body, path.name)
    for run in measurement.runs:
        journey = run.journey
        for rounds_ms in (journey.rounds_ms, *(stage.rounds_ms for stage in journey.stages)):
            if not all(rounds_ms):
                raise UsageError(
                    f"{path} has a round without frames of {run.artifact}; expected one at least; "
                    f"{MEASURE_AGAIN}"
                )
    return measurement
