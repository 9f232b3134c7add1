"""A detector of a few nodes with a convolution that may run in INT8, and images for it."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

from export.onnx_graph import save_model, sort_nodes
from runtime.contract import write_contract
from tests.benchmarks.artifacts import write_validation_set
from tests.builders import TINY_CONTRACT, tiny_model
from tests.calibration.tiny_network import write_images

CHANNELS = 16

# Stands for an environment with ModelOpt: hands back what it got, and notes how it was called.
FAKE_PYTHON = """#!{python}
import json, pathlib, shutil, sys
words = sys.argv[1:]
value = dict(zip(words, words[1:]))
pathlib.Path(__file__).with_suffix(".log").open("a").write(json.dumps(words) + "\\n")
shutil.copy(value["--onnx"], value["--out"])
print("quantized")
print(json.dumps({{"seconds": 2.5, "versions": {{}}}}))
"""


def tiny_detector() -> ModelProto:
    """Return the tiny model; a branch of three convolutions adds a little to its scores."""
    model = tiny_model()
    random = np.random.default_rng(0)
    shapes = {"stem": (CHANNELS, 3, 8, 8), "body": (CHANNELS, CHANNELS, 3, 3)}
    constants = {
        name: random.normal(0, 0.1, shape).astype(np.float32)
        for name, shape in {**shapes, "head": (1, CHANNELS, 1, 1)}.items()
    }
    constants["little"] = np.float32(1e-5)
    constants["all"] = np.int64([1, 2, 3])
    add = helper.make_node
    nodes = [
        add("Transpose", ["pixels"], ["planes"], perm=[0, 3, 1, 2]),
        add("Conv", ["planes", "stem"], ["s"], name="stem/Conv", strides=[8, 8]),
        add("Relu", ["s"], ["stem_out"]),
        add("Conv", ["stem_out", "body"], ["b"], name="body/Conv", pads=[1, 1, 1, 1]),
        add("Relu", ["b"], ["body_out"]),
        add("Conv", ["body_out", "head"], ["h"], name="head/Conv"),
        add("ReduceMean", ["h", "all"], ["level"], keepdims=0),
        add("Mul", ["level", "little"], ["small"]),
        add("Add", ["plain", "small"], ["brightness"]),
    ]
    for node in model.graph.node:
        if node.output[0] == "brightness":
            node.output[0] = "plain"
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(numpy_helper.from_array(v, n) for n, v in constants.items())
    assert model.graph.input[0].type.tensor_type.elem_type == TensorProto.UINT8
    return sort_nodes(model)


def write_study(folder: Path, images: int = 6) -> list[str]:
    """Write the detector, its validation set and a pool; returns the options that name them."""
    source = folder / "tiny.onnx"
    save_model(tiny_detector(), source)
    write_contract(TINY_CONTRACT, source)
    write_validation_set(folder / "val")
    write_images(folder / "pool", images)
    options = {"onnx": source, "data": folder / "val", "pool": folder / "pool"}
    words = [word for name, path in options.items() for word in (f"--{name}", str(path))]
    return [*words, "--work", str(folder / "work"), "--threads", "1"]


def write_fake_python(folder: Path, text: str = FAKE_PYTHON) -> Path:
    """Write an executable that stands for the Python of another environment."""
    path = folder / "fake_python"
    path.write_text(text.format(python=sys.executable))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path
