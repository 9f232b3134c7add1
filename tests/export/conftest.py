"""One exported nano for all tests of export/: exporting takes seconds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from detectors.checkpoints import save_checkpoint
from detectors.registry import build_detector
from export.detector_source import DetectorSource
from export.export_onnx import ExportRequest, export_onnx
from plugins.library import LIBRARY_VARIABLE
from tests.detectors.deterministic_weights import build_filled

# Not square, so that a swapped height and width shows.
SIZE_HW = (64, 96)
CLASS_NAMES = ("a", "b", "c", "d", "e", "f")


@pytest.fixture(scope="package", autouse=True)
def no_plugin_library() -> Iterator[None]:
    """What is built does not depend on whether the checkout has had its ``make plugins``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(LIBRARY_VARIABLE, "")
        yield


@pytest.fixture(scope="session")
def nano_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of nano that give many detections."""
    network = build_filled(lambda: build_detector("cornernet-nano", len(CLASS_NAMES)))
    path = tmp_path_factory.mktemp("weights") / "nano.safetensors"
    metadata = {"class_names": json.dumps(CLASS_NAMES), "command": "python -m train"}
    save_checkpoint(network, path, metadata)
    return path


@pytest.fixture(scope="session")
def nano_onnx(nano_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nano as a portable single-precision file with its contract; do not change it."""
    path = tmp_path_factory.mktemp("onnx") / "nano.onnx"
    export_onnx(ExportRequest(DetectorSource("cornernet-nano", nano_weights), SIZE_HW), path)
    return path
