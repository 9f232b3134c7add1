"""Average precision of ONNX models in memory: what INT8 costs, before anything is built.

A quantized model runs in ONNX Runtime as it is written: integers are dequantized and convolved in
float. That is what every engine computes, up to rounding, so no engine is needed to know its AP.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnxruntime
from onnx import ModelProto

from detectors.average_precision import Scores, score_rows
from detectors.dataset import CocoSet
from detectors.evaluate import Rows, collect_rows
from detectors.examples import ExampleTable
from detectors.predict import GridBoxes, LetterboxPredictor, Runner, rows_of
from export.builder_onnxruntime import ORT_ERRORS, PROVIDERS
from runtime.contract import INPUT_NAME, ModelContract
from runtime.errors import CalibrationError
from runtime.postprocess import PostprocessOptions


@dataclass(frozen=True)
class AccuracyMeter:
    """Measures models on the same images, in the same way.

    Attributes:
        coco: The annotated images.
        examples: Those of them to look at.
        contract: Of the float model: sizes and classes.
        options: What to keep of the boxes; as ``detectors.evaluate`` has it by default.
        threads: CPU threads of the network; 0 for all cores.
    """

    coco: CocoSet
    examples: ExampleTable
    contract: ModelContract
    options: PostprocessOptions
    threads: int = 0

    def measure(self, model: ModelProto) -> Scores:
        """Return COCO's figures of a model.

        Raises:
            CalibrationError: If ONNX Runtime refuses the model.
        """
        return score_rows(self.coco, self.detect(model), self.examples)

    def detect(self, model: ModelProto) -> Rows:
        """Return a model's detections in COCO's result format.

        Raises:
            CalibrationError: If ONNX Runtime refuses the model.
        """
        runner = ModelRunner(model, self.contract, self.threads)
        predict = LetterboxPredictor(runner, self.contract.size_hw, self.options)
        return collect_rows(self.coco, self.examples, predict.predict_batch)[0]


class ModelRunner(Runner):  # type: ignore[misc]  # detectors/ has no types for mypy
    """A model with its decoder in ONNX Runtime, one picture at a time; boxes in network pixels.

    Args:
        model: With the outputs of the portable export.
        contract: Its contract.
        threads: CPU threads; 0 for all cores.

    Raises:
        CalibrationError: If ONNX Runtime refuses the model.
    """

    def __init__(self, model: ModelProto, contract: ModelContract, threads: int = 0) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors only
        options.intra_op_num_threads = threads
        try:
            self._session = onnxruntime.InferenceSession(
                model.SerializeToString(), options, providers=PROVIDERS
            )
        except ORT_ERRORS as error:
            raise CalibrationError(
                f"ONNX Runtime {onnxruntime.__version__} refused the model "
                f"({' '.join(str(error).split())[:300]}); expected one with an FP32 base; "
                "calibrate with --base fp32 to measure it here"
            ) from error
        self._size_hw = contract.size_hw
        self._names = [output.name for output in self._session.get_outputs()]

    def _run(self, canvases: np.ndarray) -> GridBoxes:
        rows = [self._rows(np.ascontiguousarray(canvas[None])) for canvas in canvases]
        return GridBoxes(np.concatenate(rows), self._size_hw)

    def _rows(self, frames: np.ndarray) -> np.ndarray:
        values = self._session.run(self._names, {INPUT_NAME: frames})
        rows: np.ndarray = rows_of(dict(zip(self._names, values, strict=True)))
        return rows
