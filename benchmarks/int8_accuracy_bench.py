"""What every INT8 model here is made from and measured on: one float model, one set of images."""

from __future__ import annotations

import argparse
import hashlib
import re
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import onnxruntime
from onnx import ModelProto

from benchmarks.experiments_budget import computed_once
from calibration.accuracy import AccuracyMeter, open_meter
from calibration.calibrate import read_float_contract
from calibration.samples import SampleChoice, choose_samples
from calibration.sessions import Form
from calibration.sqnr import SqnrMeter
from detectors.average_precision import score_rows
from detectors.dataset import CocoSet
from detectors.evaluate import Rows
from detectors.examples import ExampleTable
from export.onnx_graph import load_model, save_model
from runtime.atomic_file import sha256_of
from runtime.contract import ModelContract
from runtime.errors import UsageError
from runtime.image_batches import ImageBatches, find_images

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build"
SOURCE = BUILD / "cornernet-nano-320x320-fp32.onnx"
SHAPES = BUILD / "shapes"
# What decides how a model is quantized; another text of any of these makes another model.
QUANTIZING_PACKAGES = ("calibration",)
SQNR_IMAGES = 16  # of the validation set; see calibration/sqnr.py
PARTS = 10  # of the images, for standard errors


@dataclass(frozen=True)
class Bench:
    """What models are compared on.

    Attributes:
        source: The float model's file.
        model: The float model.
        contract: Of the float model.
        meter: Measures average precision, models computed as they are written.
        sqnr: Compares a model's maps with the float model's.
        pool: Folder of images to calibrate with.
        work: Folder of finished models and figures.
    """

    source: Path
    model: ModelProto
    contract: ModelContract
    meter: AccuracyMeter
    sqnr: SqnrMeter
    pool: Path
    work: Path

    def choose_images(self, number: int, seed: int) -> ImageBatches:
        """Return images of the pool, drawn as ``calibration.calibrate --seed`` does.

        With the same seed, fewer images are a part of more.

        Raises:
            SourceError: If the pool is empty.
            UsageError: If it has fewer images.
        """
        choice = SampleChoice(str(self.pool), number, seed)
        images = choose_samples(choice, self.contract.size_hw)
        if len(images) < number:
            raise UsageError(
                f"--pool has {len(images)} images; expected at least {number}; draw more: "
                "python -m detectors.shapes"
            )
        return images

    def data_stamp(self) -> dict[str, Any]:
        """Return what every figure depends on beside the model, ready for JSON."""
        return {
            "annotations_sha256": sha256_of(self.meter.coco.annotation_file),
            "images": len(self.meter.examples),
            "onnxruntime": onnxruntime.__version__,
        }

    def settings(self) -> dict[str, Any]:
        """Return what was measured on what, ready for JSON."""
        return {
            "model": self.contract.name,
            "size_hw": self.contract.size_hw,
            "source_sha256": sha256_of(self.source),
            "calibration_pool": self.pool.name,
            "threads": self.meter.threads,
            **self.data_stamp(),
        }


@dataclass(frozen=True)
class Candidate:
    """One way to an INT8 model.

    Attributes:
        label: The same for all seeds.
        seed: Of the calibration images; None where there are none.
        stamp: Everything that the model depends on, ready for JSON.
        forms: In which ways its average precision is measured.
        make: Returns the model and the seconds that it took.
    """

    label: str
    seed: int | None
    stamp: Mapping[str, Any]
    forms: tuple[Form, ...]
    make: Callable[[], tuple[ModelProto, float]]


def open_bench(options: argparse.Namespace) -> Bench:
    """Open the model and the images that the options of ``study_parser`` name.

    Raises:
        CornerRTError: If one of them is missing or not what it should be.
    """
    contract = read_float_contract(options.onnx)
    model = load_model(options.onnx)
    meter = open_meter(options.data, contract, limit=options.limit, threads=options.threads)
    frames = find_images(str(options.data), contract.size_hw, SQNR_IMAGES)
    sqnr = SqnrMeter(model, frames, threads=options.threads)
    return Bench(options.onnx, model, contract, meter, sqnr, options.pool, options.work)


def measure_candidate(bench: Bench, candidate: Candidate) -> dict[str, Any]:
    """Quantize and measure, or return what an earlier call finished.

    The model is kept by everything that it depends on, its figures by the model itself: after a
    change that leaves the model as it was, only the quantizing is repeated.

    Returns:
        ``label``, ``seed``, ``seconds`` of quantizing, and what ``figures_of`` returns; ready for
        JSON.
    """
    name = re.sub(r"[^\w.-]+", "-", candidate.label).strip("-")
    base = bench.work / (name if candidate.seed is None else f"{name}-seed{candidate.seed}")
    file = base.with_name(f"{base.name}.onnx")

    def make() -> dict[str, Any]:
        print(f"quantizing: {candidate.label}, seed {candidate.seed}", flush=True)
        model, seconds = candidate.make()
        save_model(model, file)
        return {"seconds": round(seconds, 1), "sha256": sha256_of(file)}

    def measure() -> dict[str, Any]:
        print(f"measuring: {candidate.label}, seed {candidate.seed}", flush=True)
        return figures_of(bench, load_model(file), candidate.forms)

    base.parent.mkdir(parents=True, exist_ok=True)
    model_record = base.with_name(f"{base.name}.model.json")
    if not file.is_file():
        model_record.unlink(missing_ok=True)
    made = computed_once(model_record, candidate.stamp, make)
    forms = [form.value for form in candidate.forms]
    stamp = {"model": made["sha256"], "forms": forms, "parts": PARTS, **bench.data_stamp()}
    figures = computed_once(base.with_name(f"{base.name}.figures.json"), stamp, measure)
    return {"label": candidate.label, "seed": candidate.seed, "seconds": made["seconds"], **figures}


def figures_of(bench: Bench, model: ModelProto, forms: tuple[Form, ...]) -> dict[str, Any]:
    """Return ``ap``, ``ap50``, ``ap75`` and ``ap_of_parts`` by form, and ``sqnr_db``."""
    figures: dict[str, Any] = {key: {} for key in ("ap", "ap50", "ap75", "ap_of_parts")}
    for form in forms:
        meter = replace(bench.meter, form=form)
        rows = meter.detect(model)
        precision = score_rows(meter.coco, rows, meter.examples).precision
        for key in ("ap", "ap50", "ap75"):
            figures[key][form.value] = getattr(precision, key)
        figures["ap_of_parts"][form.value] = ap_of_parts(meter.coco, rows, meter.examples)
    return {**figures, "sqnr_db": round(bench.sqnr.measure(model), 2)}


def ap_of_parts(coco: CocoSet, rows: Rows, examples: ExampleTable) -> list[float]:
    """Return the AP of each tenth of the images: what chance there is in a difference of two AP.

    Args:
        coco: The annotated images.
        rows: Detections in COCO's result format.
        examples: The images; fewer than ``PARTS`` give no parts.
    """
    by_image: dict[int, Rows] = defaultdict(list)
    for row in rows:
        by_image[row["image_id"]].append(row)
    parts = [examples[first::PARTS] for first in range(PARTS)] if len(examples) >= PARTS else []
    found = ([row for example in part for row in by_image[example.image_id]] for part in parts)
    return [
        score_rows(coco, chosen, part).precision.ap
        for part, chosen in zip(parts, found, strict=True)
    ]


def code_digest(packages: tuple[str, ...] = QUANTIZING_PACKAGES, root: Path = ROOT) -> str:
    """Return a SHA-256 over the source files of some packages."""
    digest = hashlib.sha256()
    for package in packages:
        for file in sorted((root / package).glob("*.py")):
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def timed_call(action: Callable[[], ModelProto]) -> tuple[ModelProto, float]:
    """Return what an action makes, and the seconds it took."""
    started = time.monotonic()
    made = action()
    return made, time.monotonic() - started
