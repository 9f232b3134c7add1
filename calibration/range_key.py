"""What observed ranges depend on, as digests, and which of it two observations do not share."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass

import cv2
import onnxruntime
from onnx import ModelProto, numpy_helper

from calibration.observers import Provider
from runtime.atomic_file import sha256_of
from runtime.contract import ModelContract
from runtime.image_batches import ImageBatches


@dataclass(frozen=True)
class RangeKey:
    """Identity of an observation: equal keys, equal histograms.

    Attributes:
        weights: SHA-256 over the names, shapes and values of all constants.
        graph: SHA-256 over nodes, functions and inputs.
        preprocessing: Network size and normalisation, for people.
        libraries: What reads and computes, with versions and provider, for people.
        images: Name and SHA-256 of each image, in order.
    """

    weights: str
    graph: str
    preprocessing: str
    libraries: str
    images: tuple[tuple[str, str], ...]

    @classmethod
    def of(
        cls, model: ModelProto, contract: ModelContract, images: ImageBatches, provider: Provider
    ) -> RangeKey:
        """Describe an observation that is about to be made; reads every image file once.

        Args:
            model: What will run; an improved copy of the exported model is another model.
            contract: Of the exported model.
            images: What it will see.
            provider: What it will run on.
        """
        height, width = images.size_hw
        return cls(
            _digest_weights(model),
            _digest_graph(model),
            f"{height}x{width} letterbox, mean {_list(contract.mean_bgr)}, "
            f"standard deviation {_list(contract.std_bgr)}",
            f"onnxruntime {onnxruntime.__version__} {provider.value}, opencv {cv2.__version__}",
            tuple((path.name, sha256_of(path)) for path in images.paths),
        )

    def changes_since(self, old: RangeKey) -> list[str]:
        """Say in words what differs from an older key; empty if nothing does."""
        changes = []
        if self.weights != old.weights:
            changes.append("other weights")
        if self.graph != old.graph:
            changes.append("another graph")
        if self.preprocessing != old.preprocessing:
            changes.append(f"preprocessing {old.preprocessing} instead of {self.preprocessing}")
        if self.libraries != old.libraries:
            changes.append(f"{old.libraries} instead of {self.libraries}")
        if self.images != old.images:
            changes.append(_image_changes(old.images, self.images))
        return changes


def _image_changes(old: tuple[tuple[str, str], ...], new: tuple[tuple[str, str], ...]) -> str:
    """Say how many images were added, removed and changed; a changed one keeps its name."""
    gone, came = Counter(old) - Counter(new), Counter(new) - Counter(old)
    if not gone and not came:
        return "another order of images"
    names_gone = Counter(name for name, _ in gone.elements())
    names_came = Counter(name for name, _ in came.elements())
    parts = {
        "added": names_came - names_gone,
        "removed": names_gone - names_came,
        "changed": names_came & names_gone,
    }
    words = ", ".join(f"{names.total()} {what}" for what, names in parts.items() if names)
    return f"other images ({words})"


def _digest_weights(model: ModelProto) -> str:
    digest = hashlib.sha256()
    for tensor in model.graph.initializer:
        value = numpy_helper.to_array(tensor)
        digest.update(f"{tensor.name} {value.dtype} {value.shape}\n".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()


def _digest_graph(model: ModelProto) -> str:
    digest = hashlib.sha256()
    for part in (model.graph.input, model.graph.node, model.functions, model.opset_import):
        for message in part:
            digest.update(message.SerializeToString(deterministic=True))
    return digest.hexdigest()


def _list(values: tuple[float, ...]) -> str:
    return "/".join(f"{value:g}" for value in values)
