"""The models that a report compares: one network at one size, in several precisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from onnx import ModelProto, NodeProto

from calibration.operations import multiply_adds, operation_share
from calibration.quantize_rules import label
from export.builder_onnxruntime import FLOAT_CONVOLUTIONS
from export.onnx_graph import GraphIndex, load_model
from runtime.contract import ModelContract, ProvenanceStep, read_contract
from runtime.errors import CalibrationError

ONNX_TARGETS = ("portable", "onnxruntime")


@dataclass(frozen=True)
class Subject:
    """One model of the report.

    Attributes:
        precision: "fp32", "fp16" or "int8".
        path: Its file.
        contract: What lies beside the file.
        size_bytes: Of the file.
    """

    precision: str
    path: Path
    contract: ModelContract
    size_bytes: int

    @property
    def title(self) -> str:
        """The precision as people write it."""
        return self.precision.upper()

    @property
    def is_onnx(self) -> bool:
        """Whether the file is an ONNX graph, and not an engine."""
        return self.contract.target in ONNX_TARGETS

    def step(self, name: str) -> ProvenanceStep | None:
        """Return the last step of a name in the file's provenance, None if there is none."""
        steps = [step for step in self.contract.provenance if step.step == name]
        return steps[-1] if steps else None


@dataclass(frozen=True)
class Int8Share:
    """How much of a model runs in INT8.

    Attributes:
        int8: Convolutions in INT8.
        convolutions: All convolutions.
        percent: Multiply-adds in INT8, of a hundred; None where they cannot be counted.
    """

    int8: int
    convolutions: int
    percent: float | None


def read_subjects(files: Mapping[str, Path]) -> dict[str, Subject]:
    """Read the contracts of all models, and check that they are the same network.

    Args:
        files: File by precision; "fp32" is the one that the others are compared with.

    Raises:
        ArtifactError: If a file is missing.
        ContractError: If a contract is missing, malformed or of another file.
        CalibrationError: If a precision is another one, or network, size or classes differ.
    """
    subjects = {precision: _read_subject(precision, path) for precision, path in files.items()}
    reference = subjects["fp32"].contract
    for subject in subjects.values():
        contract = subject.contract
        for what, got, expected in (
            ("is", _network(contract), _network(reference)),
            ("finds", ", ".join(contract.class_names), ", ".join(reference.class_names)),
        ):
            if got != expected:
                raise CalibrationError(
                    f"--{subject.precision} {subject.path} {what} {got}; expected {expected}, as "
                    "--fp32; give files of one network"
                )
    return subjects


def int8_share(model: ModelProto, portable: ModelProto | None) -> Int8Share:
    """Return how much of a model runs in INT8.

    Args:
        model: Quantized, portable or built for ONNX Runtime.
        portable: The portable FP32 model, in which multiply-adds are counted; None if not given.

    Raises:
        CalibrationError: If the size of a convolution's tensors is not known.
    """
    int8 = int8_convolutions(model)
    total = len(int8) + sum(
        node.op_type in FLOAT_CONVOLUTIONS and label(node) not in int8 for node in model.graph.node
    )
    operations = {} if portable is None else multiply_adds(portable)
    known = set(int8) <= set(operations)
    percent = operation_share(operations, int8).percent if known else None
    return Int8Share(len(int8), total, percent)


def int8_convolutions(model: ModelProto) -> frozenset[str]:
    """Return the names of the convolutions that compute with 8-bit integers.

    In a portable file these read dequantized features and dequantized weights; in one built for
    ONNX Runtime they are operators of their own.
    """
    producers = GraphIndex.of(model.graph).producers
    return frozenset(
        label(node)
        for node in model.graph.node
        if node.op_type == "QLinearConv"
        or (
            node.op_type in FLOAT_CONVOLUTIONS
            and all(_is_dequantized(producers.get(name)) for name in node.input[:2])
        )
    )


def _is_dequantized(producer: NodeProto | None) -> bool:
    return producer is not None and producer.op_type == "DequantizeLinear"


def read_portable(path: Path | None, reference: Subject) -> ModelProto | None:
    """Return the portable FP32 model, in which operations are counted.

    Args:
        path: Its file; None to take the report's own FP32 file, if that is portable.
        reference: The report's FP32 file.

    Raises:
        ArtifactError: If the file is missing, cut short or not ONNX.
        ContractError: If its contract is missing, malformed or of another file.
        CalibrationError: If it is not the portable FP32 model of the same network.
    """
    if path is None:
        return load_model(reference.path) if reference.contract.target == "portable" else None
    contract = read_contract(path)
    got = f"{_network(contract)} in {contract.precision} for {contract.target}"
    expected = f"{_network(reference.contract)} in fp32 for portable"
    if got != expected:
        raise CalibrationError(f"--onnx {path} is {got}; expected {expected}; give that export")
    return load_model(path)


def load_graph(subject: Subject) -> ModelProto | None:
    """Return a model's graph, None for an engine.

    Raises:
        ArtifactError: If the file is cut short or not ONNX.
    """
    return load_model(subject.path) if subject.is_onnx else None


def _read_subject(precision: str, path: Path) -> Subject:
    contract = read_contract(path)
    if contract.precision != precision:
        raise CalibrationError(
            f"--{precision} {path} is {contract.precision}; expected {precision}; make one: make "
            f"engine PRECISION={precision}"
        )
    return Subject(precision, path, contract, path.stat().st_size)


def _network(contract: ModelContract) -> str:
    height, width = contract.size_hw
    return f"{contract.name} at {height}x{width}"
