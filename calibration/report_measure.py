"""Running the models of a report on the same images."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from calibration.report_half import emulate_half
from calibration.report_subjects import Subject
from detectors.average_precision import Scores, score_rows
from detectors.dataset import CocoSet, read_coco
from detectors.evaluate import Rows, collect_rows
from detectors.evaluation_options import EVALUATION_OPTIONS
from detectors.examples import ExampleTable
from detectors.predict import model_from_artifact
from export.onnx_graph import load_model, save_model
from runtime.contract import write_contract
from runtime.errors import ArtifactError, BackendError, CalibrationError, ExportError

HALF_ON_PROCESSOR = (
    "FP16 values (weights and every operator's result are rounded), FP32 sums within operators; "
    "emulated in ONNX Runtime, which has no FP16 convolution on processors"
)
INT8_AS_WRITTEN = (
    "ONNX Runtime, the portable file as written: integers are dequantized and convolved in FP32"
)


@dataclass(frozen=True, eq=False)
class ImageSet:
    """The images of a report.

    Attributes:
        path: As the user named it.
        coco: The annotated set.
        examples: Those of its images that are looked at.
    """

    path: Path
    coco: CocoSet
    examples: ExampleTable


@dataclass(frozen=True, eq=False)
class Measurement:
    """What one model does on the images.

    Attributes:
        subject: The model.
        how: How it was run, for people.
        scores: COCO's figures.
        rows: Its detections in COCO's result format.
    """

    subject: Subject
    how: str
    scores: Scores
    rows: Rows


@dataclass(frozen=True)
class Unmeasured:
    """A model that cannot be run here.

    Attributes:
        subject: The model.
        reason: Why, in one sentence without a full stop.
    """

    subject: Subject
    reason: str


def read_images(path: Path, limit: int | None, class_names: tuple[str, ...]) -> ImageSet:
    """Read the annotated images.

    Args:
        path: A COCO folder or its JSON file.
        limit: Look at so many of the images only, the first ones.
        class_names: The classes that the models find.

    Raises:
        DatasetError: If the annotations are missing or malformed.
        CalibrationError: If their classes are others, or nothing is annotated on the images.
    """
    coco = read_coco(path)
    if coco.class_names != class_names:
        raise CalibrationError(
            f"--data {path} has classes {', '.join(coco.class_names)}; the models find "
            f"{', '.join(class_names)}; expected the same; give images of these classes"
        )
    images = ImageSet(path, coco, coco.examples[:limit])
    if not any(len(example.class_ids) for example in images.examples):
        raise CalibrationError(
            f"--data {path} annotates no object on {len(images.examples)} images; expected some to "
            "measure accuracy with; give other images"
        )
    return images


def measure(subject: Subject, images: ImageSet) -> Measurement:
    """Run a model as a live stream does and score it.

    Raises:
        ArtifactError: If the model cannot be loaded.
        BackendError: If nothing here can run it.
        SourceError: If an image cannot be read.
    """
    if subject.precision == "fp16" and subject.contract.target == "portable":
        return _measure_emulated(subject, images)
    model = model_from_artifact(subject.path, EVALUATION_OPTIONS)
    rows, _ = collect_rows(images.coco, images.examples, model.predict.predict_batch)
    return Measurement(subject, _how(subject), score_rows(images.coco, rows, images.examples), rows)


def measure_if_possible(subject: Subject, images: ImageSet) -> Measurement | Unmeasured:
    """Run a model that the report can do without.

    Raises:
        SourceError: If an image cannot be read.
    """
    try:
        return measure(subject, images)
    except (ArtifactError, BackendError, CalibrationError, ExportError) as error:
        return Unmeasured(subject, " ".join(str(error).split()))


def _measure_emulated(subject: Subject, images: ImageSet) -> Measurement:
    """Run the portable half-precision file with its rounding made visible."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / subject.path.name
        save_model(emulate_half(load_model(subject.path)), path)
        contract = replace(subject.contract, precision="fp32")
        write_contract(contract, path)
        stand_in = replace(subject, precision="fp32", path=path, contract=contract)
        found = measure(stand_in, images)
    return replace(found, subject=subject, how=HALF_ON_PROCESSOR)


def _how(subject: Subject) -> str:
    target = subject.contract.target
    if target == "portable":
        return INT8_AS_WRITTEN if subject.precision == "int8" else "ONNX Runtime, portable file"
    if target == "onnxruntime":
        kernels = "integer kernels" if subject.precision == "int8" else "float kernels"
        return f"ONNX Runtime, the file built for it: {kernels}"
    return f"engine of {target}"
