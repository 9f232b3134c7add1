"""Real sessions of small models, with and without the profiler."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from runtime.backend_onnxruntime import OnnxRuntimeBackend
from runtime.contract import write_contract
from runtime.errors import ArtifactError, BackendError
from runtime.layer_profile_onnxruntime import ProfiledBackend, profile_onnxruntime
from runtime.layers import LayerProfile, LayerTime
from tests.builders import TINY_CONTRACT, tiny_model, write_tiny_artifact

BATCH = np.zeros((1, 64, 64, 3), np.uint8)


def write_network(path: Path) -> Path:
    """Write the tiny detector with a convolution, a sum and a loop before its brightness."""
    model = tiny_model()
    weights = np.full((16, 3, 3, 3), 1 / 27 / 16, np.float32)
    body = helper.make_graph(
        [
            helper.make_node("Max", ["before", "row"], ["after"], name="Max_0"),
            helper.make_node("Identity", ["after"], ["made"], name="Identity_1"),
        ],
        "body",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("before", "row")],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("after", "made")],
    )
    nodes = [
        helper.make_node("Cast", ["frames"], ["pixels"], name="normalise/Cast", to=1),
        helper.make_node(
            "Transpose", ["pixels"], ["planes"], name="normalise/Transpose", perm=[0, 3, 1, 2]
        ),
        helper.make_node(
            "Conv", ["planes", "weights"], ["a.conv/Conv"], name="a.conv/Conv", pads=[1] * 4
        ),
        helper.make_node("Relu", ["a.conv/Conv"], ["a.relu/Relu"], name="a.relu/Relu"),
        helper.make_node("Gather", ["a.relu/Relu", "first"], ["start"], axis=2),
        helper.make_node(
            "Scan",
            ["start", "a.relu/Relu"],
            ["last", "a.pool/CornerPool"],
            num_scan_inputs=1,
            scan_input_axes=[2],
            scan_output_axes=[2],
            body=body,
        ),
        helper.make_node("ReduceMean", ["a.pool/CornerPool", "axes"], ["mean"], keepdims=0),
    ]
    arrays = {"weights": weights, "first": np.int64(0)}
    model.graph.initializer.extend(numpy_helper.from_array(v, k) for k, v in arrays.items())
    rest = list(model.graph.node)[2:]
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *rest])
    onnx.checker.check_model(model)
    onnx.save(model, path)
    write_contract(TINY_CONTRACT, path)
    return path


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> LayerProfile:
    path = write_network(tmp_path_factory.mktemp("network") / "network.onnx")
    return profile_onnxruntime(path, 1, [BATCH] * 4)


def layer_with(profile: LayerProfile, node: str) -> LayerTime:
    (found,) = [layer for layer in profile.layers if node in layer.nodes]
    return found


def test_every_layer_has_a_time_in_every_run(profile: LayerProfile) -> None:
    assert profile.runtime.startswith("onnxruntime 1.")
    assert {len(layer.times_ms) for layer in profile.layers} == {4}
    assert len(profile.whole_ms) == len(profile.bare_ms) == 4
    assert min(*profile.whole_ms, *profile.bare_ms) > 0
    for index, whole in enumerate(profile.whole_ms):
        assert sum(layer.times_ms[index] for layer in profile.layers) <= whole


def test_a_convolution_is_listed_with_what_follows_it(profile: LayerProfile) -> None:
    layer = layer_with(profile, "a.conv/Conv")
    assert layer.nodes == ("a.conv/Conv", "a.relu/Relu")
    assert (layer.kind, layer.precision, layer.module) == ("Conv", "fp32", "a.conv")


def test_a_loop_is_one_layer_and_belongs_to_what_it_makes(profile: LayerProfile) -> None:
    (loop,) = [layer for layer in profile.layers if layer.kind == "Scan"]
    assert loop.nodes == ("a.pool/CornerPool",)
    assert not [layer for layer in profile.layers if layer.kind in ("Max", "Identity")]
    (note,) = [note for note in profile.notes if "loops (Scan)" in note]
    assert note.startswith("192 of the ")  # 64 rows, two nodes and their sequence


def test_layers_stand_in_the_order_in_which_they_run(profile: LayerProfile) -> None:
    modules = [layer.module for layer in profile.layers]
    assert modules[0] == "normalise"
    assert modules.index("normalise") < modules.index("a.conv") < modules.index("a.pool")


def test_what_onnx_runtime_put_in_is_counted_in_a_note(profile: LayerProfile) -> None:
    without = [layer for layer in profile.layers if not layer.nodes]
    assert without and f"{len(without)} layers (" in profile.notes[-1]


def test_the_profiled_session_has_the_options_of_the_other(tmp_path: Path) -> None:
    plain, profiled = OnnxRuntimeBackend(2)._options(), ProfiledBackend(2, tmp_path)._options()
    assert profiled.enable_profiling and not plain.enable_profiling
    for name in (n for n in dir(plain) if not n.startswith("_")):
        if name not in ("enable_profiling", "profile_file_prefix"):
            ours, theirs = getattr(profiled, name), getattr(plain, name)
            assert callable(ours) or ours == theirs, name
    key = "session.intra_op.allow_spinning"
    assert profiled.get_session_config_entry(key) == plain.get_session_config_entry(key) == "0"


def test_the_profilers_file_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    artifact = write_tiny_artifact(tmp_path / "models/tiny.onnx")
    assert profile_onnxruntime(artifact, 1, [BATCH]).layers
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_missing_artifact_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    artifact = write_tiny_artifact(tmp_path / "tiny.onnx")
    artifact.write_bytes(artifact.read_bytes()[:-40])
    with pytest.raises(ArtifactError, match=r"tiny\.onnx"):
        profile_onnxruntime(artifact, 1, [BATCH])


def test_a_closed_backend_has_no_profile(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="call open"):
        ProfiledBackend(1, tmp_path).end_profiling()
