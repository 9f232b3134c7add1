"""INT8 by others' tools, from the same FP32 file and the same images.

onnxruntime's ``quantize_static`` runs here, on the exported file: it leaves functions, and so the
decoder, alone. NVIDIA ModelOpt runs in an environment of its own (see int8_peers_modelopt.py) and
drops functions, so it gets the same graph with their bodies in their places.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx.inliner
import onnxruntime
from onnx import ModelProto
from onnxruntime.quantization import CalibrationDataReader, quantize_static

from benchmarks import int8_peers_modelopt
from benchmarks.int8_accuracy_bench import Bench, Candidate, timed_call
from calibration.sessions import Form
from export.decode_function import DECODE_MODULE, inline_corner_decode
from export.onnx_graph import load_model, save_model
from runtime.atomic_file import sha256_of
from runtime.contract import INPUT_NAME
from runtime.errors import CornerRTError, UsageError
from runtime.image_batches import ImageBatches

# What TensorRT can take: symmetric, on the inputs of convolutions alone, a scale per channel.
CONV_ONLY = {
    "op_types_to_quantize": ["Conv"],
    "per_channel": True,
    "extra_options": {"ActivationSymmetric": True, "WeightSymmetric": True},
}
ONNXRUNTIME = "onnxruntime"
ONNXRUNTIME_SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "defaults": {},
    "Conv only, per-channel, symmetric": CONV_ONLY,
}
MODELOPT = "ModelOpt"


@dataclass(frozen=True)
class ModelOptSetting:
    """How ModelOpt is asked to quantize.

    Attributes:
        method: "entropy", its default, or "max".
        exclude: Regular expressions of the names of nodes that stay float.
    """

    method: str
    exclude: tuple[str, ...] = ()


MODELOPT_SETTINGS: Mapping[str, ModelOptSetting] = {
    "entropy (its default)": ModelOptSetting("entropy"),
    "max": ModelOptSetting("max"),
    "entropy, decoder in float": ModelOptSetting("entropy", (f"{DECODE_MODULE}/.*",)),
    "max, decoder in float": ModelOptSetting("max", (f"{DECODE_MODULE}/.*",)),
}


class ImageReader(CalibrationDataReader):  # type: ignore[misc]
    """Hands images to onnxruntime's calibrators."""

    def __init__(self, images: ImageBatches) -> None:
        self._images: Iterator[np.ndarray] = iter(images)

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Return the network's next input, None at the end."""
        frames = next(self._images, None)
        return None if frames is None else {INPUT_NAME: frames}


def peer_candidates(
    bench: Bench, images: ImageBatches, seed: int, modelopt_python: Path | None
) -> list[Candidate]:
    """Return every peer and setting, ready to quantize with one choice of images.

    Args:
        bench: The float model.
        images: What to calibrate with.
        seed: Of the choice.
        modelopt_python: Python of an environment that has ModelOpt; None leaves its rows out.

    Raises:
        UsageError: If there is no such Python.
    """
    makers = {
        f"{ONNXRUNTIME} {name}": partial(quantize_by_onnxruntime, bench, images, dict(setting))
        for name, setting in ONNXRUNTIME_SETTINGS.items()
    }
    if modelopt_python is not None:
        check_python(modelopt_python)
        makers |= {
            f"{MODELOPT} {name}": partial(
                quantize_by_modelopt, bench, images, setting, modelopt_python
            )
            for name, setting in MODELOPT_SETTINGS.items()
        }
    inputs = {
        "source": sha256_of(bench.source),
        "images": images.digest(),
        "onnxruntime": onnxruntime.__version__,
        "driver": sha256_of(Path(int8_peers_modelopt.__file__)),
    }
    return [
        Candidate(label, seed, {"peer": label, **inputs}, (Form.PORTABLE,), make)
        for label, make in makers.items()
    ]


def quantize_by_onnxruntime(
    bench: Bench, images: ImageBatches, setting: dict[str, Any]
) -> tuple[ModelProto, float]:
    """Return what ``quantize_static`` makes of the float model, and the seconds it took."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "int8.onnx"

        def quantize() -> ModelProto:
            quantize_static(bench.source, out, ImageReader(images), **setting)
            return load_model(out)

        return timed_call(quantize)


def quantize_by_modelopt(
    bench: Bench, images: ImageBatches, setting: ModelOptSetting, python: Path
) -> tuple[ModelProto, float]:
    """Return what ModelOpt makes of the float model, and the seconds it took.

    Raises:
        CornerRTError: If it fails; says what it printed last.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, frames, out = folder / "fp32.onnx", folder / "frames.npy", folder / "int8.onnx"
        save_model(without_functions(bench.model), source)
        np.save(frames, np.concatenate(list(images)))
        options: dict[str, object] = {
            "--onnx": source,
            "--frames": frames,
            "--input": INPUT_NAME,
            "--method": setting.method,
            "--out": out,
        }
        words = [word for option in options.items() for word in option]
        if setting.exclude:
            words += ["--exclude", *setting.exclude]
        record = run_driver(python, words)
        return load_model(out), float(record["seconds"])


def run_driver(python: Path, words: list[object]) -> dict[str, Any]:
    """Run int8_peers_modelopt.py in another environment; returns the record it prints.

    Raises:
        CornerRTError: If it fails; says what it printed last.
    """
    # -I: neither this project's environment nor the folder benchmarks/ is searched for modules.
    command = [python, "-I", int8_peers_modelopt.__file__, *words]
    result = subprocess.run(
        [str(word) for word in command],
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        last = (result.stderr.strip() or "no message").splitlines()[-1]
        raise CornerRTError(
            f"ModelOpt failed in {python} ({last[:300]}); expected an environment with "
            "nvidia-modelopt; make one as benchmarks/int8_peers_modelopt.py says, or leave out "
            "--modelopt-python"
        )
    record: dict[str, Any] = json.loads(result.stdout.strip().splitlines()[-1])
    return record


def without_functions(model: ModelProto) -> ModelProto:
    """Return a copy with functions' bodies in their places; the decoder's nodes keep names."""
    copy = ModelProto()
    copy.CopyFrom(model)
    return onnx.inliner.inline_local_functions(inline_corner_decode(copy))


def check_python(python: Path) -> None:
    """Refuse a Python that is not there, before the long work.

    Raises:
        UsageError: If there is no such file.
    """
    if not python.is_file():
        raise UsageError(
            f"--modelopt-python got {python}, which is no file; expected the Python of an "
            "environment with nvidia-modelopt; make one as benchmarks/int8_peers_modelopt.py says"
        )
