"""Write a detector as one ONNX file: camera frames in, detections out."""

from __future__ import annotations

import argparse
import enum
import sys
from dataclasses import dataclass
from pathlib import Path

if __package__ in (None, ""):  # run as a file: look up packages from the repository root
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import onnx
import torch
from onnx import ModelProto, ValueInfoProto, helper

from detectors.registry import DETECTORS, DetectorSpec, check_size, find_spec
from export.detector_source import DetectorSource, LoadedDetector, load_detector
from export.onnx_graph import load_model, save_model
from export.precision import BF16, FP16, convert_to_bf16, convert_to_fp16
from export.precision_rules import count_line, explain, kept_nodes
from export.surgery import keep_outputs
from export.torch_export import export_module
from export.wrapper import DeployModule, Normalisation
from runtime.command_line import CommandParser, check_output, positive, seed
from runtime.contract import (
    ModelContract,
    ProvenanceStep,
    TensorSpec,
    write_contract,
)
from runtime.errors import run_command

_HALVES = {half.name: half for half in (FP16, BF16)}


class GraphOutputs(enum.Enum):
    """What an exported graph gives, beside attention maps where there are some."""

    DETECTIONS = "detections"
    RAW_MAPS = "raw maps"
    DETECTIONS_AND_MAPS = "detections and raw maps"

    def names(self, spec: DetectorSpec) -> tuple[str, ...]:
        """Return the names of the tensors, those of the attention maps included."""
        family = spec.family
        detections = () if self is GraphOutputs.RAW_MAPS else family.detection_names
        maps = () if self is GraphOutputs.DETECTIONS else family.map_names
        return (*detections, *maps, *spec.attention_names)


@dataclass(frozen=True)
class ExportRequest:
    """What to export.

    Attributes:
        source: The detector and its weights.
        size_hw: Height and width of the network's input, in pixels.
        precision: "fp32", "fp16" or "bf16".
        outputs: What the graph gives.
    """

    source: DetectorSource
    size_hw: tuple[int, int]
    precision: str = "fp32"
    outputs: GraphOutputs = GraphOutputs.DETECTIONS


def build_parser() -> CommandParser:
    """Return the command line of ``python -m export.export_onnx``."""
    parser = CommandParser(prog="python -m export.export_onnx", description=__doc__)
    add_source_arguments(parser)
    parser.add_argument("--model", required=True, help=f"one of {', '.join(sorted(DETECTORS))}")
    parser.add_argument(
        "--size", nargs=2, type=int, metavar=("H", "W"), help="input size in pixels"
    )
    parser.add_argument("--out", type=Path, required=True, help="the .onnx file to write")
    parser.add_argument("--precision", choices=("fp32", *_HALVES), default="fp32")
    parser.add_argument(
        "--explain", action="store_true", help="print every node that stays FP32 and its rule"
    )
    outputs = parser.add_mutually_exclusive_group()
    outputs.add_argument("--raw", action="store_true", help="end at the raw maps")
    outputs.add_argument(
        "--maps", action="store_true", help="give the raw maps beside the detections"
    )
    parser.add_argument(
        "--num-classes", type=positive, help="when the weights do not say; default 80"
    )
    return parser


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose a detector's weights."""
    parser.add_argument("--weights", type=Path, help=".safetensors or published .pkl file")
    parser.add_argument(
        "--random-weights", type=seed, metavar="SEED", help="no weights: to measure speed only"
    )


def export_onnx(request: ExportRequest, out: Path) -> ModelContract:
    """Export a detector and write the model and its contract.

    Args:
        request: What to export.
        out: The ``.onnx`` file to write; its folder is created.

    Returns:
        The contract that was written beside ``out``.

    Raises:
        UsageError: If the model is unknown, the size does not fit, or ``out`` cannot be written.
        CheckpointError: If the weights cannot be read.
        ExportError: If torch or ONNX refuses the model, or it has deformable convolutions.
    """
    check_size(request.source.name, request.size_hw)
    check_output("--out", out, ".onnx")
    detector = load_detector(request.source)
    model = export_detector(detector, request)
    _free_weights(detector)
    contract = _contract(model, detector, request)
    save_model(model, out)
    write_contract(contract, out)
    return contract


def _free_weights(detector: LoadedDetector) -> None:
    """Empty a network that was exported: to check and write the model takes twice its size.

    Letting go of the network would not do: torch's exporter goes on referring to its parameters.
    """
    for parameter in detector.network.parameters():
        parameter.data = torch.empty(0)


def export_detector(detector: LoadedDetector, request: ExportRequest) -> ModelProto:
    """Return a loaded detector as an ONNX model."""
    module = deploy_module(detector, request.source.name)
    model = export_module(module, request.size_hw)
    keep_outputs(model, request.outputs.names(find_spec(request.source.name)))
    if request.precision not in _HALVES:
        return model
    return convert_to_fp16(model) if request.precision == "fp16" else convert_to_bf16(model)


def deploy_module(detector: LoadedDetector, name: str) -> DeployModule:
    """Wrap a loaded detector with the normalisation and decoding of its registry entry."""
    spec = find_spec(name)
    normalisation = Normalisation(spec.mean_bgr, spec.std_bgr)
    module = DeployModule(detector.network, normalisation, spec.decode, spec.attention_names)
    module.eval()
    return module


def _contract(model: ModelProto, detector: LoadedDetector, request: ExportRequest) -> ModelContract:
    spec = find_spec(request.source.name)
    tool = f"torch {torch.__version__}, onnx {onnx.__version__}"
    version = max(entry.version for entry in model.opset_import if not entry.domain)
    note = f"opset {version}, {len(model.graph.node)} nodes"
    if request.precision in _HALVES:
        note += f"; {count_line(kept_nodes(model, _HALVES[request.precision].largest))}"
    step = ProvenanceStep("export", detector.weights_step.sha256, tool, note)
    return ModelContract(
        name=request.source.name,
        family=spec.family.name,
        size_hw=request.size_hw,
        stride_px=spec.stride_px,
        mean_bgr=spec.mean_bgr,
        std_bgr=spec.std_bgr,
        class_names=detector.class_names,
        decode=spec.decode,
        inputs=tuple(map(_tensor_spec, model.graph.input)),
        outputs=tuple(map(_tensor_spec, model.graph.output)),
        precision=request.precision,
        provenance=(detector.weights_step, step),
    )


def _tensor_spec(value: ValueInfoProto) -> TensorSpec:
    tensor = value.type.tensor_type
    dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type).name
    return TensorSpec(
        value.name, dtype, tuple(d.dim_param or d.dim_value for d in tensor.shape.dim)
    )


def _run(arguments: argparse.Namespace) -> int:
    source = DetectorSource(
        arguments.model, arguments.weights, arguments.random_weights, arguments.num_classes
    )
    size_hw = tuple(arguments.size or find_spec(arguments.model).default_size_hw)
    request = ExportRequest(source, size_hw, arguments.precision, _outputs(arguments))
    contract = export_onnx(request, arguments.out)
    if arguments.explain and request.precision in _HALVES:
        model = load_model(arguments.out)
        print(explain(kept_nodes(model, _HALVES[request.precision].largest)))
    size_mb = arguments.out.stat().st_size / 1e6
    print(f"wrote {arguments.out}: {size_mb:.1f} MB, {contract.provenance[-1].note}")
    return 0


def _outputs(arguments: argparse.Namespace) -> GraphOutputs:
    if arguments.raw:
        return GraphOutputs.RAW_MAPS
    return GraphOutputs.DETECTIONS_AND_MAPS if arguments.maps else GraphOutputs.DETECTIONS


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_command(lambda: _run(build_parser().parse_args(argv)))


if __name__ == "__main__":
    sys.exit(main())
