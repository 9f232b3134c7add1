"""The JSON file beside every artifact: what goes in, what comes out, and where it came from.

``model.onnx`` has its contract in ``model.onnx.json``. Reading is strict: an unknown or missing
key is refused by name, so that a typing error never becomes a silently wrong detection.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runtime.atomic_file import sha256_of, write_text
from runtime.errors import ArtifactError, ContractError
from runtime.manifest import EngineManifest
from runtime.strict_json import StrictParser

FORMAT = "cornerrt-contract-1"
PAIR_SCORES = ("mean", "geometric")
PRECISIONS = ("fp32", "fp16", "bf16", "int8")
TARGETS = ("portable", "onnxruntime", "tensorrt-rtx", "tensorrt")
# Tensors of every artifact. Row by row: the box, its score, its class; of a pair of corners their
# scores too.
INPUT_NAME = "frames"
BOX_NAMES = ("boxes", "scores", "class_ids")
DETECTION_NAMES = (*BOX_NAMES, "corner_scores")
# What a CornerNet predicts, top-left and bottom-right: class heatmap logits, embedding ("tag"),
# offset (x, y) in cells.
MAP_NAMES = ("tl_heat", "br_heat", "tl_tag", "br_tag", "tl_off", "br_off")
# What CornerNet-Saccade gives beside the detections: float32 (N, 1, h, w) in [0, 1], whether the
# middle of a large, medium or small object lies in a cell, at strides 16, 8 and 4.
ATTENTION_NAMES = ("att0", "att1", "att2")
_PARSER = StrictParser(ContractError, "build again: make engine")


@dataclass(frozen=True)
class TensorSpec:
    """One tensor at the artifact's border; a string in ``shape`` names a dynamic dimension."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class DecodeParams:
    """How corners become boxes (CornerNet, section 3.1 and 4.2).

    Attributes:
        family: Of the detectors that decode so; the same for all.
        needs_suppression: Whether one object gives several boxes; the same for all.
        top_k: Corners kept per image and kind, over all classes.
        nms_kernel: Side of the window in which a corner must be the maximum, in cells.
        ae_threshold: Largest distance between the embeddings of a pair.
        num_dets: Rows of the result.
        pair_score: "mean" of the two corners' scores, as published, or "geometric": their
            geometric mean, with which a strong corner beside background scores near 0, not 0.5.
        drop_border: Refuse boxes with a corner in the outermost row or column of cells: on a crop
            they are objects that its border cuts off (CornerNet-Saccade). No key in JSON means no.

    Raises:
        ContractError: On creation, if ``pair_score`` is neither.
    """

    top_k: int
    nms_kernel: int
    ae_threshold: float
    num_dets: int
    pair_score: str = "mean"
    drop_border: bool = False
    # Without annotations: no fields, and no keys in JSON.
    family = "cornernet"
    needs_suppression = True

    def __post_init__(self) -> None:
        """Check the one value that is a name."""
        if self.pair_score not in PAIR_SCORES:
            raise ContractError(f"pair_score is {self.pair_score!r}; expected one of {PAIR_SCORES}")


@dataclass(frozen=True)
class CenterDecodeParams:
    """How centres become boxes (Objects as Points, section 4).

    Attributes:
        family: Of the detectors that decode so; the same for all.
        needs_suppression: Whether one object gives several boxes: the neighbours of a peak are
            refused, so that it does not.
        top_k: Boxes per image, over all classes.
        nms_kernel: Side of the window in which a centre must be the maximum, in cells; odd.
    """

    top_k: int
    nms_kernel: int
    family = "centernet"
    needs_suppression = False


# One class per family of detectors; of these the contract's ``decode`` is one.
AnyDecodeParams = DecodeParams | CenterDecodeParams


@dataclass(frozen=True)
class ProvenanceStep:
    """One step of the chain weights -> onnx -> ranges -> engine.

    Attributes:
        step: "weights", "export", "calibrate", "gate" (accuracy was measured) or "build".
        sha256: Digest of the file that the step used (weights) or read (the others).
        tool: What did it, with versions, such as "torch 2.13.0, onnx 1.23.2".
        note: Anything a reader will want to know: training command, range method, image count.
    """

    step: str
    sha256: str
    tool: str
    note: str = ""


@dataclass(frozen=True)
class ModelContract:
    """Everything a program must know to run an artifact, without opening it.

    Attributes:
        name: Name in the detector registry, such as "cornernet-nano".
        family: "cornernet" or "centernet"; says what ``decode`` must be.
        size_hw: Height and width of the network's input, in pixels.
        stride_px: Input pixels per heatmap cell.
        mean_bgr: Mean subtracted after scaling pixels to [0, 1]; inside the graph.
        std_bgr: Divisor after that; inside the graph.
        class_names: Names by class id.
        decode: Parameters of the in-graph decoder.
        inputs: Tensors that go in.
        outputs: Tensors that come out.
        precision: "fp32", "fp16", "bf16" or "int8".
        target: "portable" for an ONNX file, otherwise the runtime the artifact was built for.
        artifact_sha256: Digest of the artifact that this contract lies beside.
        provenance: The steps that led here, oldest first.
        engine: What an engine needs from its machine; None, and no key in JSON, for other files.
    """

    name: str
    family: str
    size_hw: tuple[int, int]
    stride_px: int
    mean_bgr: tuple[float, float, float]
    std_bgr: tuple[float, float, float]
    class_names: tuple[str, ...]
    decode: AnyDecodeParams
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    precision: str
    target: str = "portable"
    artifact_sha256: str = ""
    provenance: tuple[ProvenanceStep, ...] = field(default_factory=tuple)
    engine: EngineManifest | None = None

    def __post_init__(self) -> None:
        """Check the few values that the types do not."""
        if self.precision not in PRECISIONS:
            raise ContractError(f"precision is {self.precision!r}; expected one of {PRECISIONS}")
        if self.target not in TARGETS:
            raise ContractError(f"target is {self.target!r}; expected one of {TARGETS}")
        if self.family != self.decode.family:
            raise ContractError(
                f"family is {self.family!r} and decode that of {self.decode.family!r}; expected "
                "the same; build again: make engine"
            )
        if min(self.size_hw) < 1 or self.stride_px < 1:
            raise ContractError(
                f"size_hw is {self.size_hw} and stride_px {self.stride_px}; expected positive"
            )

    @property
    def has_attention(self) -> bool:
        """Whether the artifact tells where to look closer: it is run by ``runtime.saccade``."""
        return set(ATTENTION_NAMES) <= {spec.name for spec in self.outputs}

    def with_step(self, step: ProvenanceStep, **changes: Any) -> ModelContract:
        """Return a copy with ``changes`` applied and ``step`` added to the provenance."""
        return dataclasses.replace(self, provenance=(*self.provenance, step), **changes)


def contract_path(artifact: Path) -> Path:
    """Return where the contract of ``artifact`` lies: the same name with ``.json`` added."""
    return artifact.with_name(artifact.name + ".json")


def write_contract(contract: ModelContract, artifact: Path) -> Path:
    """Write the contract beside a finished artifact, with the artifact's digest filled in.

    An artifact whose contract cannot be written is removed: nothing could use it, and Make would
    take it for finished.

    Returns:
        The path written to.
    """
    stamped = dataclasses.replace(contract, artifact_sha256=sha256_of(artifact))
    path = contract_path(artifact)
    body = {"format": FORMAT, **dataclasses.asdict(stamped)}
    if stamped.engine is None:
        del body["engine"]
    try:
        write_text(path, json.dumps(body, indent=1) + "\n")
    except OSError:
        artifact.unlink()
        raise
    return path


def read_contract(artifact: Path, verify: bool = True) -> ModelContract:
    """Read the contract beside ``artifact``.

    Args:
        artifact: The model file, not the JSON.
        verify: Also compare the artifact's digest with the contract's.

    Raises:
        ArtifactError: If the artifact is missing.
        ContractError: If the contract is missing, malformed, or written for another file.
    """
    if not artifact.is_file():
        raise ArtifactError(f"no file at {artifact}; expected a model; build one: make engine")
    path = contract_path(artifact)
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ContractError(
            f"no contract at {path}; expected it beside {artifact.name}; build again: make engine"
        ) from None
    except (ValueError, RecursionError) as error:
        raise ContractError(f"{path} is not JSON ({error}); build again: make engine") from None
    if not isinstance(body, dict) or body.pop("format", None) != FORMAT:
        raise ContractError(f"{path} does not say format {FORMAT!r}; build again: make engine")
    contract: ModelContract = _PARSER.parse(ModelContract, body, path.name)
    if verify and (got := sha256_of(artifact)) != contract.artifact_sha256:
        raise ContractError(
            f"{artifact} has SHA-256 {got[:12]}, its contract expects "
            f"{contract.artifact_sha256[:12]}; the file changed or is cut short; "
            "build again: make engine"
        )
    return contract
