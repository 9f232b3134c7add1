"""Average precision of ONNX models in memory: what INT8 costs, before anything is built.

No engine is needed to know a quantized model's AP: ``calibration.sessions`` computes what a target
would, up to rounding.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from onnx import ModelProto
from tqdm import tqdm

from calibration.sessions import Form, open_session
from detectors.average_precision import Scores, coco_rows, score_rows
from detectors.dataset import CocoSet, read_coco
from detectors.evaluate import Rows
from detectors.evaluation_options import EVALUATION_OPTIONS
from detectors.examples import Example, ExampleTable, load_image
from detectors.predict import GridBoxes, LetterboxPredictor, Predictor, Runner, rows_of
from detectors.saccade_predict import SaccadePredictor
from runtime.contract import BOX_NAMES, INPUT_NAME, ModelContract
from runtime.errors import CalibrationError, DatasetError
from runtime.image_batches import ImageBatches
from runtime.postprocess import PostprocessOptions
from runtime.saccade import PROCESSOR_BATCH, SaccadeDetector, SaccadeOptions

# Decoded images that are kept between measurements: COCO's 5000 validation images need 4 GB.
CACHE_BYTES = 512 * 2**20


class ImageCache:
    """Reads images, and keeps the first ones in memory, up to a bound.

    Args:
        limit_bytes: Bound of what is kept.
    """

    def __init__(self, limit_bytes: int = CACHE_BYTES) -> None:
        self._free_bytes = limit_bytes
        self._kept: dict[Path, np.ndarray] = {}

    def __len__(self) -> int:
        """Return the number of images kept."""
        return len(self._kept)

    def load(self, example: Example) -> np.ndarray:
        """Return an example's image, uint8 (H, W, 3) BGR, not to be modified.

        Raises:
            SourceError: If it cannot be read, or has another size than its annotations list.
        """
        if example.path in self._kept:
            return self._kept[example.path]
        image: np.ndarray = load_image(example)
        if image.nbytes <= self._free_bytes:
            self._free_bytes -= image.nbytes
            self._kept[example.path] = image
        return image


@dataclass(frozen=True)
class AccuracyMeter:
    """Measures models on the same images, in the same way.

    Attributes:
        coco: The annotated images.
        examples: Those of them to look at.
        contract: Of the float model: sizes and classes.
        options: What to keep of the boxes; as ``detectors.evaluate`` has it by default.
        threads: CPU threads of the network; 0 for all cores.
        form: How quantized models are computed.
        images: Keeps decoded images for the next measurement.
    """

    coco: CocoSet
    examples: ExampleTable
    contract: ModelContract
    options: PostprocessOptions = EVALUATION_OPTIONS
    threads: int = 0
    form: Form = Form.PORTABLE
    images: ImageCache = field(default_factory=ImageCache, repr=False, compare=False)

    def measure(self, model: ModelProto) -> Scores:
        """Return COCO's figures of a model.

        Raises:
            CalibrationError: If ONNX Runtime refuses the model.
            SourceError: If an image cannot be read.
        """
        return score_rows(self.coco, self.detect(model), self.examples)

    def detect(self, model: ModelProto) -> Rows:
        """Return a model's detections in COCO's result format.

        Raises:
            CalibrationError: If ONNX Runtime refuses the model.
            SourceError: If an image cannot be read.
        """
        predict = self._open(model)
        rows: Rows = []
        silent = not sys.stderr.isatty()
        for example in tqdm(self.examples, unit="image", disable=silent, leave=False):
            found = predict(self.images.load(example))
            rows += coco_rows(example, found, self.coco.category_ids)
        return rows

    def digest(self) -> str:
        """Return a SHA-256 over names and contents of the images."""
        paths = tuple(example.path for example in self.examples)
        return ImageBatches(paths, self.contract.size_hw).digest()

    def _open(self, model: ModelProto) -> Predictor:
        """Return what finds objects with a model; one with attention maps looks twice."""
        size_hw = self.contract.size_hw
        runner = ModelRunner(model, self.contract, self.threads, self.form)
        if not self.contract.has_attention:
            kept = self.options.suited_to(self.contract.decode)
            return LetterboxPredictor(runner, size_hw, kept)
        detector = SaccadeDetector(runner.infer, size_hw, SaccadeOptions(batch=PROCESSOR_BATCH))
        return SaccadePredictor(detector, self.options)


def open_meter(
    data: Path,
    contract: ModelContract,
    form: Form = Form.PORTABLE,
    limit: int | None = None,
    threads: int = 0,
) -> AccuracyMeter:
    """Open annotated images to measure a detector on.

    Args:
        data: A folder with ``annotations.json`` and ``images/``, or a COCO JSON file.
        contract: Of the float model.
        form: How quantized models are computed.
        limit: Use the first so many images only.
        threads: CPU threads of the network; 0 for all cores.

    Raises:
        CalibrationError: If the model ends at raw maps, without boxes.
        DatasetError: If the annotations cannot be read, or are of other classes.
    """
    coco = read_coco(data)
    if contract.class_names != coco.class_names:
        raise DatasetError(
            f"{data} has classes {', '.join(coco.class_names)}; {contract.name} finds "
            f"{', '.join(contract.class_names)}; expected the same; measure on a set of its classes"
        )
    outputs = [spec.name for spec in contract.outputs]
    if not set(BOX_NAMES) <= set(outputs):
        raise CalibrationError(
            f"{contract.name} gives {', '.join(outputs)}; expected {', '.join(BOX_NAMES)} to "
            "measure average precision; export it without --raw"
        )
    return AccuracyMeter(coco, coco.examples[:limit], contract, threads=threads, form=form)


class ModelRunner(Runner):  # type: ignore[misc]  # detectors/ has no types for mypy
    """A model with its decoder in ONNX Runtime, one picture at a time; boxes in network pixels.

    Args:
        model: With the outputs of the portable export.
        contract: Its contract.
        threads: CPU threads; 0 for all cores.
        form: How it is computed.

    Raises:
        CalibrationError: If ONNX Runtime refuses the model.
    """

    def __init__(
        self,
        model: ModelProto,
        contract: ModelContract,
        threads: int = 0,
        form: Form = Form.PORTABLE,
    ) -> None:
        self._session = open_session(model, form, threads=threads)
        self._size_hw = contract.size_hw
        self._names = [output.name for output in self._session.get_outputs()]

    def infer(self, frames: np.ndarray) -> dict[str, np.ndarray]:
        """Return the model's outputs for uint8 (N, H, W, 3) frames of its size."""
        values = self._session.run(self._names, {INPUT_NAME: frames})
        return dict(zip(self._names, values, strict=True))

    def _run(self, canvases: np.ndarray) -> GridBoxes:
        rows = [rows_of(self.infer(np.ascontiguousarray(canvas[None]))) for canvas in canvases]
        return GridBoxes(np.concatenate(rows), self._size_hw)
