"""Anything that predicts, behind one call: a checkpoint in PyTorch, or an artifact in a backend.

A runner takes network-sized pictures and gives boxes; a predictor brings an image into that size
and the boxes back. ``detectors.augmented_testing`` has the predictor of the published test.
"""

from __future__ import annotations

import abc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import nn

from detectors.normalise import normalise
from detectors.registry import DetectorSpec
from detectors.saccade_predict import SaccadePredictor, detector_from_network
from runtime.backend_base import Backend
from runtime.backend_saccade import SaccadeBackend
from runtime.backends import open_backend
from runtime.detections import Detections
from runtime.geometry import Letterbox
from runtime.postprocess import PostprocessOptions, detections_from_raw
from runtime.preprocess import letterbox_image
from runtime.published_protocol import join_flipped

# uint8 (H, W, 3) BGR -> what is on it
Predictor = Callable[[np.ndarray], Detections]


class BatchPredictor(Protocol):
    """A predictor that also takes several images at once, of any sizes."""

    def __call__(self, image: np.ndarray) -> Detections:
        """Find objects on one image."""
        ...

    def predict_batch(self, images: Sequence[np.ndarray]) -> list[Detections]:
        """Find objects on every image."""
        ...


@dataclass(frozen=True)
class GridBoxes:
    """Boxes in the unit of a grid that covers the network's input.

    Attributes:
        rows: float32 (N, D, C), x1 y1 x2 y2 score, what else the family tells of a box, class; a
            row with score -1 is empty. A CornerNet tells the scores of both corners, so C is 8.
        grid_hw: Height and width of the input in that unit: heatmap cells or pixels.
    """

    rows: np.ndarray
    grid_hw: tuple[int, int]


class Runner(abc.ABC):
    """Runs a network, and knows for how long.

    Attributes:
        seconds: Time spent in the network and its decoder so far.
    """

    seconds: float = 0.0

    def __call__(self, canvases: np.ndarray) -> GridBoxes:
        """Find boxes on uint8 (N, H, W, 3) BGR pictures of a size that the network takes."""
        started = time.perf_counter()
        boxes = self._run(canvases)
        self.seconds += time.perf_counter() - started
        return boxes

    @abc.abstractmethod
    def _run(self, canvases: np.ndarray) -> GridBoxes:
        """Run the network; everything is finished on return."""


class NetworkRunner(Runner):
    """A PyTorch network with its decoder, on the device that it lies on; boxes in heatmap cells.

    Args:
        model: A network of the registry, with its weights; set to evaluation mode.
        spec: Its entry in the registry.
    """

    def __init__(self, model: nn.Module, spec: DetectorSpec) -> None:
        self.model, self.spec = model.eval(), spec

    @torch.inference_mode()
    def _run(self, canvases: np.ndarray) -> GridBoxes:
        parameters = self.model.parameters()
        device = next((p.device for p in parameters), torch.device("cpu"))
        frames = torch.from_numpy(np.ascontiguousarray(canvases)).to(device)
        maps = self.model(normalise(frames, self.spec))
        rows = self.spec.family.decode(maps, self.spec.decode)
        height, width = maps[self.spec.map_names[0]].shape[2:]
        return GridBoxes(rows.cpu().numpy(), (height, width))


class ArtifactRunner(Runner):
    """An artifact in a backend, one picture at a time; boxes in network pixels.

    Args:
        backend: Open.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    def _run(self, canvases: np.ndarray) -> GridBoxes:
        rows = np.concatenate(
            [rows_of(self.backend.infer(np.ascontiguousarray(c[None]))) for c in canvases]
        )
        return GridBoxes(rows, self.backend.contract.size_hw)


def rows_of(outputs: dict[str, np.ndarray]) -> np.ndarray:
    """Put the outputs of an artifact side by side: rows (1, D, C) as in ``GridBoxes``."""
    columns = [outputs["boxes"], outputs["scores"][..., None]]
    if "corner_scores" in outputs:
        columns.append(outputs["corner_scores"])
    class_ids = outputs["class_ids"][..., None].astype(np.float32)
    return np.concatenate([*columns, class_ids], axis=2)


class LetterboxPredictor:
    """Predicts as a live stream does: the image as large as possible on a canvas of fixed size.

    Args:
        run: The network.
        size_hw: Height and width of the network's input, in pixels.
        options: What to keep of its boxes.
        flip: Whether the mirrored canvas is looked at too, which finds every object twice.
    """

    def __init__(
        self,
        run: Runner,
        size_hw: tuple[int, int],
        options: PostprocessOptions,
        flip: bool = False,
    ) -> None:
        self.run, self.size_hw, self.options, self.flip = run, size_hw, options, flip

    def __call__(self, image: np.ndarray) -> Detections:
        """Find objects on one uint8 (H, W, 3) BGR image of any size."""
        return self.predict_batch([image])[0]

    def predict_batch(self, images: Sequence[np.ndarray]) -> list[Detections]:
        """Find objects on several images, of any sizes, at once."""
        letterboxes = [Letterbox.fit(image.shape[:2], self.size_hw) for image in images]
        canvases = np.stack(
            [letterbox_image(i, box) for i, box in zip(images, letterboxes, strict=True)]
        )
        found = run_with_mirror(self.run, canvases, self.flip)
        scale_y, scale_x = (
            size / grid for size, grid in zip(self.size_hw, found.grid_hw, strict=True)
        )
        found.rows[..., :4] *= np.float32([scale_x, scale_y, scale_x, scale_y])
        return [
            detections_from_raw(_outputs_of(rows[None]), letterbox, self.options)
            for rows, letterbox in zip(found.rows, letterboxes, strict=True)
        ]


def run_with_mirror(run: Runner, canvases: np.ndarray, flip: bool) -> GridBoxes:
    """Run a network, if wanted also on the mirrored pictures.

    Args:
        run: The network.
        canvases: uint8 (N, H, W, 3) BGR.
        flip: Whether to add the detections of the mirrored pictures, mirrored back.

    Returns:
        Rows (N, D, C), or (N, 2 D, C) with the mirrored ones behind the others.
    """
    if not flip:
        return run(canvases)
    found = run(np.concatenate([canvases, canvases[:, :, ::-1]]))
    pairs = found.rows.reshape(2, len(canvases), *found.rows.shape[1:]).swapaxes(0, 1)
    return GridBoxes(
        np.stack([join_flipped(pair, found.grid_hw[1]) for pair in pairs]), found.grid_hw
    )


def _outputs_of(rows: np.ndarray) -> dict[str, np.ndarray]:
    """Return rows (1, D, C) as the outputs of an artifact."""
    class_ids = rows[..., -1].astype(np.int32)
    return {"boxes": rows[..., :4], "scores": rows[..., 4], "class_ids": class_ids}


@dataclass(frozen=True)
class EvaluationModel:
    """A predictor and what its class ids mean.

    Attributes:
        predict: Finds objects on uint8 (H, W, 3) BGR images of any size.
        class_names: Names by class id.
        label: What to call it in a table.
        runner: The network inside, for its share of the time; None where that is not known.
    """

    predict: BatchPredictor
    class_names: tuple[str, ...]
    label: str
    runner: Runner | None = None


def predictor_from_network(
    model: nn.Module, spec: DetectorSpec, size_hw: tuple[int, int], options: PostprocessOptions
) -> BatchPredictor:
    """Return a predictor that runs a PyTorch network, twice if it has attention maps.

    Args:
        model: A network of the registry, with its weights, on any device; set to evaluation mode.
        spec: Its entry in the registry.
        size_hw: Height and width of the network's input, in pixels.
        options: What to keep of its boxes.
    """
    if spec.attention_names:
        return SaccadePredictor(detector_from_network(model, spec, size_hw), options)
    return LetterboxPredictor(NetworkRunner(model, spec), size_hw, options.suited_to(spec.decode))


def model_from_artifact(
    artifact: Path, options: PostprocessOptions, backend: str = "auto", flip: bool = False
) -> EvaluationModel:
    """Open an artifact for evaluation.

    Args:
        artifact: An ONNX file or engine with its contract.
        options: What to keep of its boxes.
        backend: A name of ``runtime.backends.BACKEND_NAMES``.
        flip: Whether the mirrored canvas is looked at too, in a second call.

    Raises:
        CornerRTError: If it cannot be opened here; see ``runtime.backends.open_backend``.
    """
    opened = open_backend(artifact, backend)
    if isinstance(opened, SaccadeBackend):
        two_looks = SaccadePredictor(opened.detector, options, flip)
        return EvaluationModel(two_looks, opened.contract.class_names, artifact.name)
    runner = ArtifactRunner(opened)
    kept = options if flip else options.suited_to(opened.contract.decode)
    predict = LetterboxPredictor(runner, opened.contract.size_hw, kept, flip)
    return EvaluationModel(predict, opened.contract.class_names, artifact.name, runner)
