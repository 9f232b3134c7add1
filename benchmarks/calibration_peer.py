"""ONNX Runtime's own entropy calibrator, on the tensors and images that ours observes."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from pathlib import Path

import onnx
import onnx.inliner
import onnxruntime
from onnx import ModelProto, ValueInfoProto
from onnxruntime.quantization import CalibrationDataReader
from onnxruntime.quantization.calibrate import EntropyCalibrater

from runtime.contract import INPUT_NAME
from runtime.image_batches import ImageBatches


class EntropyPeer(EntropyCalibrater):  # type: ignore[misc]
    """The calibrator as it is, but for the tensors it looks at and the number of threads.

    By itself it looks at every float tensor, several times as many as get Q/DQ nodes in the end.

    Args:
        model: The float model.
        tensors: What to look at.
        folder: An empty folder for its files.
        threads: CPU threads of the network.
    """

    def __init__(
        self, model: ModelProto, tensors: Sequence[str], folder: Path, threads: int
    ) -> None:
        path = folder / "inlined.onnx"  # its shape inference knows no local functions
        onnx.save(onnx.inliner.inline_local_functions(model), path)
        super().__init__(path, augmented_model_path=str(folder / "augmented.onnx"))
        self._tensors = tensors
        self._threads = threads
        self.augment_graph()
        self.create_inference_session()

    def select_tensors_to_calibrate(
        self, model: ModelProto
    ) -> tuple[set[str], dict[str, ValueInfoProto]]:
        """Choose the given tensors."""
        return set(self._tensors), {name: ValueInfoProto(name=name) for name in self._tensors}

    def create_inference_session(self) -> None:
        """Open the model as the base class does, with so many threads."""
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads = self._threads
        self.infer_session = onnxruntime.InferenceSession(
            self.augmented_model_path, options, providers=self.execution_providers
        )

    def observe(self, images: ImageBatches) -> dict[str, float]:
        """Add images to its histograms and return its thresholds; it keeps all outputs till then.

        Args:
            images: What to run.
        """
        with contextlib.redirect_stdout(io.StringIO()):  # it prints what it does
            self.collect_data(_Reader(images))
            ranges = self.compute_data()
        return {name: float(ranges[name].range_value[1]) for name in self._tensors}


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """Hands out images as we read them."""

    def __init__(self, images: ImageBatches) -> None:
        self._batches = iter(images)

    def get_next(self) -> dict[str, object] | None:
        """Return the next image; None after the last."""
        batch = next(self._batches, None)
        return None if batch is None else {INPUT_NAME: batch}
