"""Anything that predicts, behind one call: a checkpoint in PyTorch, or an artifact in a backend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from detectors.decode import decode_corners
from detectors.registry import DetectorSpec
from runtime.backends import open_backend
from runtime.detections import Detections
from runtime.geometry import Letterbox
from runtime.postprocess import PostprocessOptions, detections_from_raw
from runtime.preprocess import letterbox_image

# uint8 (H, W, 3) BGR -> what is on it
Predictor = Callable[[np.ndarray], Detections]


@dataclass(frozen=True)
class EvaluationModel:
    """A predictor and what its class ids mean.

    Attributes:
        predict: Finds objects on one uint8 (H, W, 3) BGR image of any size.
        class_names: Names by class id.
        label: What to call it in a table.
    """

    predict: Predictor
    class_names: tuple[str, ...]
    label: str


def normalise(images: Tensor, spec: DetectorSpec) -> Tensor:
    """Map uint8 (N, H, W, 3) BGR to normalised float32 (N, 3, H, W), channels last in memory."""
    mean, std = torch.tensor(spec.mean_bgr), torch.tensor(spec.std_bgr)
    return ((images.float() / 255 - mean) / std).permute(0, 3, 1, 2)


def predictor_from_network(
    model: nn.Module, spec: DetectorSpec, size_hw: tuple[int, int], options: PostprocessOptions
) -> Predictor:
    """Return a predictor that runs a PyTorch network on letterboxed images.

    Args:
        model: A network of the registry, with its weights; set to evaluation mode.
        spec: Its entry in the registry.
        size_hw: Height and width of the network's input, in pixels.
        options: What to keep of its boxes.
    """
    model.eval()

    @torch.inference_mode()
    def predict(image: np.ndarray) -> Detections:
        letterbox = Letterbox.fit(image.shape[:2], size_hw)
        frames = torch.from_numpy(letterbox_image(image, letterbox)).unsqueeze(0)
        maps = model(normalise(frames, spec))
        decode = spec.decode
        rows = decode_corners(
            maps,
            decode.top_k,
            decode.nms_kernel,
            decode.ae_threshold,
            decode.num_dets,
            pair_score=decode.pair_score,
        ).numpy()
        cells_hw = maps["tl_heat"].shape[2:]
        scale_y, scale_x = (size / cells for size, cells in zip(size_hw, cells_hw, strict=True))
        outputs = {
            "boxes": rows[..., :4] * np.float32([scale_x, scale_y, scale_x, scale_y]),
            "scores": rows[..., 4],
            "class_ids": rows[..., 7].astype(np.int32),
        }
        return detections_from_raw(outputs, letterbox, options)

    return predict


def model_from_artifact(
    artifact: Path, options: PostprocessOptions, backend: str = "auto"
) -> EvaluationModel:
    """Open an artifact for evaluation.

    Raises:
        CornerRTError: If it cannot be opened here; see ``runtime.backends.open_backend``.
    """
    opened = open_backend(artifact, backend)

    def predict(image: np.ndarray) -> Detections:
        letterbox = Letterbox.fit(image.shape[:2], opened.contract.size_hw)
        outputs = opened.infer(letterbox_image(image, letterbox)[None])
        return detections_from_raw(outputs, letterbox, options)

    return EvaluationModel(predict, opened.contract.class_names, artifact.name)
