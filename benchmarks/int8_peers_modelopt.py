"""NVIDIA ModelOpt's post-training quantization of an ONNX file, run by a Python that has ModelOpt.

ModelOpt wants other versions of onnx and onnxruntime than this project, so it has an environment of
its own and this file is run there, as a script: it imports nothing of this project. To make one:

python -m venv DIR
DIR/bin/pip install "nvidia-modelopt[onnx]==0.47.0"

Without a GPU, onnxruntime takes the place of onnxruntime-gpu, and cupy is not needed: install
nvidia-modelopt with --no-deps and the rest of its dependencies by name.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np


def build_parser() -> argparse.ArgumentParser:
    """Return the script's parser."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--onnx", type=Path, required=True, help="FP32 model without functions of its own")
    add("--frames", type=Path, required=True, help="NumPy file, uint8 (images, H, W, 3)")
    add("--input", required=True, help="name of the model's input")
    add("--method", required=True, help="entropy or max")
    add("--exclude", nargs="*", help="regular expressions of names of nodes that stay float")
    add("--out", type=Path, required=True, help="the INT8 .onnx file to write")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Quantize, and print the versions and the seconds as a line of JSON."""
    options = build_parser().parse_args(argv)
    from modelopt.onnx.quantization import quantize

    frames = np.load(options.frames)
    started = time.monotonic()
    quantize(
        onnx_path=str(options.onnx),
        quantize_mode="int8",
        calibration_data={options.input: frames},
        calibration_method=options.method,
        calibration_eps=["cpu"],
        nodes_to_exclude=options.exclude,
        high_precision_dtype="fp32",  # its default, fp16, has no kernels on processors
        output_path=str(options.out),
    )
    record = {"seconds": time.monotonic() - started}
    versions = {
        name: importlib.metadata.version(name)
        for name in ("nvidia-modelopt", "onnx", "onnxruntime")
    }
    print(json.dumps({**record, "versions": versions}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
