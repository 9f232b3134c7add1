"""Tiny artifacts, pictures and videos, so that a test runs the real code in milliseconds."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from runtime.contract import (
    ATTENTION_NAMES,
    DecodeParams,
    ModelContract,
    TensorSpec,
    write_contract,
)
from runtime.opencv_log import silence_opencv

TINY_SIZE_HW = (64, 64)
# In network pixels: one of each class, and one beside the first of the same class.
TINY_BOXES_XYXY = np.float32([[4, 20, 24, 44], [30, 20, 60, 44], [6, 22, 26, 46]])
TINY_CLASS_IDS = np.int32([0, 1, 0])
TINY_SCORES = np.float32([1.0, 0.8, 0.6])  # of a white frame; a black one scores 0
TINY_CONTRACT = ModelContract(
    name="tiny",
    family="cornernet",
    size_hw=TINY_SIZE_HW,
    stride_px=4,
    mean_bgr=(0.0, 0.0, 0.0),
    std_bgr=(1.0, 1.0, 1.0),
    class_names=("square", "circle"),
    decode=DecodeParams(top_k=3, nms_kernel=3, ae_threshold=0.5, num_dets=3),
    inputs=(TensorSpec("frames", "uint8", ("N", *TINY_SIZE_HW, 3)),),
    outputs=(
        TensorSpec("boxes", "float32", ("N", 3, 4)),
        TensorSpec("scores", "float32", ("N", 3)),
        TensorSpec("class_ids", "int32", ("N", 3)),
        TensorSpec("corner_scores", "float32", ("N", 3, 2)),
    ),
    precision="fp32",
)


def tiny_model() -> onnx.ModelProto:
    """Return a graph with the deploy interface: fixed boxes, scores that follow the brightness."""
    constants = {
        "axes": np.int64([1, 2, 3]),
        "white": np.float32(255),
        "zero": np.float32(0),
        "best": TINY_SCORES[None],
        "column": np.int64([-1, 1]),
        "block": np.int64([-1, 1, 1]),
        "box_values": TINY_BOXES_XYXY[None],
        "class_values": TINY_CLASS_IDS[None].astype(np.float32),
        "corner_values": np.repeat(TINY_SCORES[None, :, None], 2, axis=2),
    }
    nodes = [
        helper.make_node("Cast", ["frames"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels", "axes"], ["mean"], keepdims=0),
        helper.make_node("Div", ["mean", "white"], ["brightness"]),
        helper.make_node("Reshape", ["brightness", "column"], ["per_row"]),
        helper.make_node("Reshape", ["brightness", "block"], ["per_block"]),
        helper.make_node("Mul", ["per_row", "best"], ["scores"]),
        helper.make_node("Mul", ["per_block", "corner_values"], ["corner_scores"]),
        helper.make_node("Mul", ["per_block", "zero"], ["zero_block"]),
        helper.make_node("Add", ["zero_block", "box_values"], ["boxes"]),
        helper.make_node("Mul", ["per_row", "zero"], ["zero_row"]),
        helper.make_node("Add", ["zero_row", "class_values"], ["class_floats"]),
        helper.make_node("Cast", ["class_floats"], ["class_ids"], to=TensorProto.INT32),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [_value_info(spec) for spec in TINY_CONTRACT.inputs],
        [_value_info(spec) for spec in TINY_CONTRACT.outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return model


def _value_info(spec: TensorSpec) -> onnx.ValueInfoProto:
    element = helper.np_dtype_to_tensor_dtype(np.dtype(spec.dtype))
    return helper.make_tensor_value_info(spec.name, element, spec.shape)


def write_tiny_artifact(path: Path, **changes: object) -> Path:
    """Write the tiny model and its contract, with fields of the contract changed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(tiny_model(), path)
    write_contract(dataclasses.replace(TINY_CONTRACT, **changes), path)  # type: ignore[arg-type]
    return path


def write_tiny_saccade(path: Path, attention: float = 0.0) -> Path:
    """Write the tiny model with attention maps, whose middle cells hold ``attention``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    model, specs = tiny_model(), []
    for name, side in zip(ATTENTION_NAMES, (4, 8, 16), strict=True):
        scores = np.zeros((1, 1, side, side), np.float32)
        scores[0, 0, side // 2, side // 2] = attention
        specs.append(TensorSpec(name, "float32", ("N", 1, side, side)))
        model.graph.initializer.append(numpy_helper.from_array(scores, f"{name}/scores"))
        model.graph.node.append(
            helper.make_node("Unsqueeze", ["zero_block", "last"], [f"{name}/zeros"])
        )
        model.graph.node.append(
            helper.make_node("Add", [f"{name}/zeros", f"{name}/scores"], [name])
        )
        model.graph.output.append(_value_info(specs[-1]))
    model.graph.initializer.append(numpy_helper.from_array(np.int64([3]), "last"))
    onnx.save(model, path)
    outputs = (*TINY_CONTRACT.outputs, *specs)
    write_contract(dataclasses.replace(TINY_CONTRACT, outputs=outputs), path)
    return path


def picture(height: int = 48, width: int = 64, brightness: int = 200) -> np.ndarray:
    """Return a grey ramp, uint8 (height, width, 3), whose mean is about ``brightness``."""
    ramp = np.linspace(-20, 20, width) + brightness
    return np.broadcast_to(ramp[None, :, None], (height, width, 3)).clip(0, 255).astype(np.uint8)


def write_video(path: Path, frames: int = 12, frame_rate: float = 25.0) -> Path:
    """Write a short MPEG-4 video of bright pictures, 64x48."""
    silence_opencv()  # FFmpeg takes its log level from the first video of a process
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), frame_rate, (64, 48))
    for index in range(frames):
        writer.write(picture(brightness=180 + index % 40))
    writer.release()
    return path


def write_images(folder: Path, count: int = 3) -> Path:
    """Write ``count`` PNG files named ``0.png``, ``1.png`` and so on."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        cv2.imwrite(str(folder / f"{index}.png"), picture())
    return folder
