r"""How AP after INT8 depends on the number of calibration images, 8 to 512.

python -m benchmarks.calibration_images
python -m benchmarks.calibration_images --quick

With each seed, fewer images are a part of more, so one pass over the most serves all numbers. AP is
that of the model as it is written: integers are dequantized and convolved in float. Beside it
stands the signal-to-quantization-noise ratio of the maps, which chance moves less.

The table goes to standard output, the figures to benchmarks/results/, the picture into
docs/images/. Finished models and figures are kept in --work and not made again.
"""

from __future__ import annotations

import argparse
import copy
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

if __package__ in (None, ""):  # run as a file: look up packages from the repository root
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from onnx import ModelProto

from benchmarks.calibration_images_plot import Line, draw_lines
from benchmarks.int8_accuracy_bench import (
    ROOT,
    Bench,
    Candidate,
    code_digest,
    measure_candidate,
    open_bench,
)
from benchmarks.int8_accuracy_report import Study, run_study, study_parser
from benchmarks.int8_accuracy_tables import FP32, POINTS, Row
from benchmarks.report import RESULTS, Findings, table_text
from calibration.histograms import MagnitudeHistogram
from calibration.observers import Observation, Observer
from calibration.progress import progress_bar
from calibration.quantize import Quantizable, choose_ranges, observable, quantize_model
from calibration.quantize_rules import EVERYWHERE
from calibration.ranges import RangeMethod
from calibration.sessions import Form
from runtime.atomic_file import sha256_of
from runtime.command_line import CommandParser, check_output, positive
from runtime.image_batches import ImageBatches

NAME = "calibration_images"
NUMBERS = (8, 16, 32, 64, 128, 256, 512)
QUICK_NUMBERS, QUICK_LIMIT = (2, 4), 10
METHODS = (RangeMethod.MSE, RangeMethod.MINMAX)
PICTURE = ROOT / "docs" / "images" / "calibration-images.png"


@dataclass(frozen=True)
class Snapshot:
    """What had been observed when so many images had been seen.

    Attributes:
        histograms: By tensor.
        seconds: Since the first image.
    """

    histograms: dict[str, MagnitudeHistogram]
    seconds: float


@dataclass(frozen=True)
class Growth:
    """One seed's pass over its images; made when it is first asked for.

    Attributes:
        bench: The float model.
        images: The images of each number, smallest first; each is a part of the next.
    """

    bench: Bench
    images: Mapping[int, ImageBatches]

    @cached_property
    def snapshots(self) -> dict[int, Snapshot]:
        """The observation at each number of images."""
        model = self.bench.model
        observation = Observation.of(observable(model, EVERYWHERE))
        found: dict[int, Snapshot] = {}
        started = time.monotonic()
        with Observer(model, observation) as observer, progress_bar(max(self.images)) as bar:
            for number, added in added_images(self.images).items():
                for frames in added:
                    observer.add(frames)
                    bar.update()
                observer.finish()
                seconds = time.monotonic() - started
                found[number] = Snapshot(copy.deepcopy(observation.histograms), seconds)
        return found

    def quantize(self, number: int, method: RangeMethod) -> tuple[ModelProto, float]:
        """Return the INT8 model from so many images, and the seconds it took to see them."""
        snapshot = self.snapshots[number]
        source = Quantizable(self.bench.model, choose_ranges(snapshot.histograms, method))
        return quantize_model(source, EVERYWHERE).model, snapshot.seconds


def build_parser() -> CommandParser:
    """Return the command's parser."""
    parser = study_parser(NAME, __doc__)
    add = parser.add_argument
    add("--numbers", type=positive, nargs="+", default=list(NUMBERS), metavar="N", help="of images")
    add("--picture", type=Path, metavar="F.png", help="default: docs/images; beside --out if given")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return run_study(NAME, build_parser(), argv, _measure)


def _measure(options: argparse.Namespace) -> Study:
    if options.quick:
        options.numbers, options.limit = QUICK_NUMBERS, QUICK_LIMIT
    is_of_record = options.out.parent == RESULTS
    picture = options.picture or (PICTURE if is_of_record else options.out.with_suffix(".png"))
    check_output("--picture", picture, ".png")
    bench = open_bench(options)
    numbers = sorted(set(options.numbers))
    fp32 = measure_candidate(bench, _float_candidate(bench))
    rows: list[Row] = []
    for seed in options.seeds:
        for (method, number), candidate in candidates(bench, seed, numbers):
            figures = measure_candidate(bench, candidate)
            rows.append({"method": method.value, "number": number, **figures})
    lines = lines_of(rows)
    fp32_points = POINTS * fp32["ap"][Form.PORTABLE.value]
    draw_lines(lines, fp32_points, picture)
    print(f"wrote {picture}")
    settings = {**bench.settings(), "seeds": options.seeds, "numbers": numbers}
    facts: dict[str, Any] = {"fp32_points": fp32_points, "rows": rows}
    return Study(Findings(settings, {}, facts=facts), images_table(lines, fp32_points))


def candidates(
    bench: Bench, seed: int, numbers: Sequence[int]
) -> Iterator[tuple[tuple[RangeMethod, int], Candidate]]:
    """Yield every method with every number of images, for one seed."""
    growth = Growth(bench, {number: bench.choose_images(number, seed) for number in numbers})
    code, source = code_digest(), sha256_of(bench.source)
    for number, images in growth.images.items():
        for method in METHODS:
            label = f"{method.value}, {number} images"
            stamp = {"label": label, "source": source, "images": images.digest(), "code": code}
            make = partial(growth.quantize, number, method)
            yield (method, number), Candidate(label, seed, stamp, (Form.PORTABLE,), make)


def added_images(images: Mapping[int, ImageBatches]) -> dict[int, ImageBatches]:
    """Return what each number of images has beside those of the number before.

    Args:
        images: Smallest number first; each is a part of the next.
    """
    added, seen = {}, frozenset[Path]()
    for number, batches in images.items():
        assert seen <= frozenset(batches.paths), "fewer images are a part of more"
        added[number] = replace(batches, paths=tuple(p for p in batches.paths if p not in seen))
        seen = frozenset(batches.paths)
    return added


def lines_of(rows: Sequence[Row]) -> list[Line]:
    """Bring the seeds of each method and number together."""
    lines: dict[str, Line] = {}
    for row in rows:
        line = lines.setdefault(row["method"], Line(row["method"], {}, {}))
        ap = POINTS * row["ap"][Form.PORTABLE.value]
        line.points.setdefault(row["number"], []).append(ap)
        line.decibels.setdefault(row["number"], []).append(row["sqnr_db"])
    return list(lines.values())


def images_table(lines: Sequence[Line], fp32_points: float) -> str:
    """Return AP, what is lost and the maps' ratio, a line for each number of images.

    Behind a mean stands the standard deviation over seeds.
    """
    head = ["images", *(c for line in lines for c in (line.label, "below FP32", "SQNR dB"))]
    rows = []
    for number in lines[0].points:
        cells = [str(number)]
        for line in lines:
            lost = fp32_points - fmean(line.points[number])
            cells += [_mean(line.points[number]), f"{lost:+.2f}", _mean(line.decibels[number])]
        rows.append(cells)
    return table_text(head, rows)


def _mean(values: Sequence[float]) -> str:
    spread = f" ± {stdev(values):.2f}" if len(values) > 1 else ""
    return f"{fmean(values):.2f}{spread}"


def _float_candidate(bench: Bench) -> Candidate:
    """Return the float model itself, to compare with."""
    stamp = {"source": sha256_of(bench.source)}
    return Candidate(FP32, None, stamp, (Form.PORTABLE,), lambda: (bench.model, 0.0))


if __name__ == "__main__":
    sys.exit(main())
