"""The network that is looked at: from a file, or exported from the registry and kept."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path

from onnx import ModelProto

from detectors.registry import SHIPPED_WEIGHTS, check_size, find_spec
from export.detector_source import DetectorSource, load_detector
from export.export_onnx import ExportRequest, export_detector
from export.roofline_graph import read_weightless, save_weightless, without_weights
from runtime.atomic_file import replace_when_done
from runtime.contract import contract_path, read_contract
from runtime.errors import UsageError

_PACKAGES = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Subject:
    """A network to count.

    Attributes:
        title: What tables call it.
        model: Its key in the registry; None for a network that is not there.
        graph: Without weights.
        size_hw: Height and width to count at; None takes those of the graph.
    """

    title: str
    model: str | None
    graph: ModelProto
    size_hw: tuple[int, int] | None


def subject_from_file(path: Path, size_hw: tuple[int, int] | None) -> Subject:
    """Read a portable ONNX file, with its contract if there is one.

    Raises:
        ArtifactError: If the file is no portable ONNX model.
        ContractError: If its contract cannot be read.
        UsageError: If the size does not fit the network.
    """
    graph = read_weightless(path)
    model = None
    if contract_path(path).is_file():
        contract = read_contract(path, verify=False)
        model = contract.name
        size_hw = size_hw or contract.size_hw
    if model is not None and size_hw is not None:
        check_size(model, size_hw)
    return Subject(path.name, model, graph, size_hw)


def subject_from_registry(
    name: str, size_hw: tuple[int, int] | None, graphs: Path | None
) -> Subject:
    """Export a network of the registry; its weights do not matter and are left behind.

    Args:
        name: Its key.
        size_hw: Height and width; None takes its default.
        graphs: A folder that keeps the graph, so that the next call need not export; None keeps
            nothing.

    Raises:
        UsageError: If the model is unknown, the size does not fit, or the folder is not writable.
    """
    size_hw = size_hw or find_spec(name).default_size_hw
    check_size(name, size_hw)
    height, width = size_hw
    if graphs is None:
        return Subject(name, name, _export(name, size_hw), size_hw)
    kept = graphs / f"{name}-{height}x{width}-{_sources_digest()}.graph.onnx"
    if not kept.is_file():
        _make_folder(graphs)
        graph = _export(name, size_hw)
        with replace_when_done(kept) as partial:
            save_weightless(graph, partial)
    return Subject(name, name, read_weightless(kept), size_hw)


def _export(name: str, size_hw: tuple[int, int]) -> ModelProto:
    print(f"exporting {name} once (a minute for the largest)", file=sys.stderr)
    seed = None if name in SHIPPED_WEIGHTS else 0
    source = DetectorSource(name, random_seed=seed)
    return without_weights(export_detector(load_detector(source), ExportRequest(source, size_hw)))


def _sources_digest() -> str:
    """Return a digest of all that decides what an exported graph looks like."""
    digest = hashlib.sha256()
    for package in ("detectors", "export"):
        for path in sorted((_PACKAGES / package).glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"--graphs cannot make {folder} ({error.strerror}); expected a folder of yours; "
            "name another"
        ) from None
