"""Observed ranges in a file: read again instead of observed again, and continued after a stop.

The file holds the key of the observation. Where the key is not that of the model and the images at
hand, a note on stderr names what changed and the images run again: stale ranges are never used.
"""

from __future__ import annotations

import json
import sys
import time
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from calibration.histograms import BINS, MagnitudeHistogram
from calibration.observers import Observation
from calibration.range_key import RangeKey
from runtime.atomic_file import replace_when_done
from runtime.errors import CalibrationError

FORMAT = "cornerrt-ranges-1"
SUFFIX = ".ranges.npz"
# A killed run loses at most so much work; writing takes a fraction of a second.
SAVE_EVERY_S = 10.0


class StoredRanges(NamedTuple):
    """What a file holds."""

    key: RangeKey
    observation: Observation


class DamagedRangesError(CalibrationError):
    """A file of ranges is incomplete, or contradicts itself."""


def default_cache_path(out: Path) -> Path:
    """Return where the ranges behind a quantized model are kept: beside it."""
    return out.with_suffix(SUFFIX)


def load_histograms(path: Path) -> dict[str, MagnitudeHistogram]:
    """Read the histograms of a finished or interrupted calibration.

    Raises:
        CalibrationError: If the file is missing, damaged or holds something else.
    """
    return read_ranges(path).observation.histograms


def read_ranges(path: Path) -> StoredRanges:
    """Read a file of ranges; nothing in it is executed.

    Raises:
        DamagedRangesError: If it is no whole file.
        CalibrationError: If it is missing, or a file of something else.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            if "format" not in stored.files or str(stored["format"]) != FORMAT:
                raise CalibrationError(
                    f"{path} is not a file of calibration ranges; expected {FORMAT}; name another"
                )
            return _parse(stored)
    except FileNotFoundError:
        raise CalibrationError(
            f"no {path}; expected the ranges of a calibration; make them: "
            "python -m calibration.calibrate"
        ) from None
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, TypeError, ValueError) as error:
        raise DamagedRangesError(
            f"{path} is damaged ({type(error).__name__}); expected a whole file of ranges; "
            "remove it and calibrate again"
        ) from None


def write_ranges(path: Path, key: RangeKey, observation: Observation) -> None:
    """Write a file of ranges, completely or not at all.

    Raises:
        OSError: If there is no space left, or no permission; an older file stays as it is.
    """
    histograms = observation.histograms.values()
    with replace_when_done(path) as partial, partial.open("wb") as stream:
        np.savez_compressed(
            stream,
            format=np.array(FORMAT),
            key=np.array(json.dumps(asdict(key))),
            tensors=np.array(list(observation.histograms), np.str_),
            counts=np.array([h.counts for h in histograms], np.int64).reshape(-1, BINS),
            limits=np.array([h.limit for h in histograms], np.float64),
            peaks=np.array([h.peak for h in histograms], np.float64),
            samples=np.array([observation.samples, observation.blank_samples], np.int64),
        )


class RangeCache:
    """The file of one calibration.

    Args:
        path: The file.
        key: Of the calibration that is under way.
    """

    def __init__(self, path: Path, key: RangeKey) -> None:
        self._path = path
        self._key = key
        self._saved_at = time.monotonic()

    def restore(self, tensors: Sequence[str]) -> Observation:
        """Return what the file holds of this calibration, else an empty observation.

        What was found is said on stderr. A file that is damaged or of another calibration will be
        replaced.

        Args:
            tensors: What must have been observed; the file may hold more.

        Raises:
            CalibrationError: If the file is not one of ranges at all.
        """
        if not self._path.exists():
            return Observation.of(tensors)
        try:
            stored = read_ranges(self._path)
        except DamagedRangesError:
            _note(f"{self._path} is damaged; observing again")
            return Observation.of(tensors)
        changes = self._key.changes_since(stored.key)
        missing = len(set(tensors) - set(stored.observation.histograms))
        if missing:
            changes.append(f"fewer tensors ({missing} missing)")
        if changes:
            _note(f"{self._path} is of {'; '.join(changes)}: observing again")
            return Observation.of(tensors)
        done, total = stored.observation.samples, len(self._key.images)
        what = "taken from" if done == total else "continued from"
        if done:
            _note(f"ranges of {done} of {total} images are {what} {self._path}")
        return stored.observation

    def save(self, observation: Observation) -> None:
        """Replace the file.

        Raises:
            OSError: If it cannot be written; an older file stays as it is.
        """
        write_ranges(self._path, self._key, observation)
        self._saved_at = time.monotonic()

    @property
    def is_due(self) -> bool:
        """Whether much would be lost if the process were killed now."""
        return time.monotonic() - self._saved_at > SAVE_EVERY_S

    def remove(self) -> None:
        """Remove the file."""
        self._path.unlink(missing_ok=True)


def _parse(stored: np.lib.npyio.NpzFile) -> StoredRanges:
    """Turn arrays into objects.

    Raises:
        KeyError, TypeError, ValueError: If an array is missing or does not fit.
    """
    fields = json.loads(str(stored["key"]))
    fields["images"] = tuple((name, digest) for name, digest in fields["images"])
    names = [str(name) for name in stored["tensors"]]
    counts, limits, peaks = stored["counts"], stored["limits"], stored["peaks"]
    if counts.shape != (len(names), BINS) or counts.dtype != np.int64:
        raise ValueError(f"counts are {counts.dtype} {counts.shape}")
    key = RangeKey(**fields)
    samples, blank_samples = (int(value) for value in stored["samples"])
    if not 0 <= blank_samples <= samples <= len(key.images):
        raise ValueError(f"{samples} of {len(key.images)} images")
    observation = Observation({}, samples, blank_samples)
    for name, *parts in zip(names, counts, limits, peaks, strict=True):
        histogram = observation.histograms.setdefault(name, MagnitudeHistogram())
        histogram.counts, histogram.limit, histogram.peak = parts[0], *map(float, parts[1:])
    return StoredRanges(key, observation)


def _note(text: str) -> None:
    print(f"note: {text}", file=sys.stderr)
