"""The JSON beside every artifact: a round trip, and every way in which it can be wrong."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runtime.contract import (
    ATTENTION_NAMES,
    CenterDecodeParams,
    ProvenanceStep,
    TensorSpec,
    contract_path,
    read_contract,
    write_contract,
)
from runtime.errors import ArtifactError, ContractError
from tests.builders import TINY_CONTRACT


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.onnx"
    path.write_bytes(b"model")
    write_contract(TINY_CONTRACT, path)
    return path


def edit(artifact: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = contract_path(artifact)
    body = json.loads(path.read_text())
    change(body)
    path.write_text(json.dumps(body))


def test_what_is_written_is_read(artifact: Path) -> None:
    step = ProvenanceStep("export", "ab" * 32, "torch 2.13.0", "why")
    contract = TINY_CONTRACT.with_step(step, precision="int8")
    write_contract(contract, artifact)
    read = read_contract(artifact)
    assert dataclasses.replace(read, artifact_sha256="") == contract
    assert read.precision == "int8"
    assert read.provenance == (step,)
    assert len(read.artifact_sha256) == 64


def test_centres_are_read_as_centres(artifact: Path) -> None:
    decode = CenterDecodeParams(100, 3)
    contract = dataclasses.replace(TINY_CONTRACT, family="centernet", decode=decode)
    write_contract(contract, artifact)
    body = json.loads(contract_path(artifact).read_text())
    assert body["decode"] == {"top_k": 100, "nms_kernel": 3}
    assert read_contract(artifact).decode == decode


def test_decode_parameters_of_another_family_are_refused(artifact: Path) -> None:
    message = "family is 'centernet' and decode that of 'cornernet'; expected the same"
    edit(artifact, lambda body: body.update(family="centernet"))
    with pytest.raises(ContractError, match=message):
        read_contract(artifact)
    edit(artifact, lambda body: body.update(decode={"top_k": 4, "nms_kernel": 3}))
    assert read_contract(artifact).family == "centernet"
    edit(artifact, lambda body: body["decode"].update(stride=1))
    with pytest.raises(ContractError, match=r"unknown key 'stride'; expected \['nms_kernel', 'top"):
        read_contract(artifact)
    edit(artifact, lambda body: body.update(family="yolo", decode={"top_k": 4, "nms_kernel": 3}))
    with pytest.raises(ContractError, match="family is 'yolo' and decode that of 'centernet'"):
        read_contract(artifact)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_file_that_is_not_json_is_refused(artifact: Path, content: bytes) -> None:
    contract_path(artifact).write_bytes(content)
    with pytest.raises(ContractError, match=r"tiny\.onnx\.json is not JSON .*; build again"):
        read_contract(artifact)


def test_an_artifact_whose_contract_cannot_be_written_does_not_stay(tmp_path: Path) -> None:
    artifact = tmp_path / "tiny.onnx"
    artifact.write_bytes(b"model")
    contract_path(artifact).mkdir()
    with pytest.raises(OSError, match="directory"):
        write_contract(TINY_CONTRACT, artifact)
    assert list(tmp_path.iterdir()) == [contract_path(artifact)]


def test_an_unknown_pair_score_is_refused(artifact: Path) -> None:
    edit(artifact, lambda body: body["decode"].update(pair_score="median"))
    with pytest.raises(ContractError, match="pair_score is 'median'; expected one of"):
        read_contract(artifact)


def test_a_switch_that_is_off_may_be_absent(artifact: Path) -> None:
    edit(artifact, lambda body: body["decode"].pop("drop_border"))
    assert read_contract(artifact).decode == TINY_CONTRACT.decode
    edit(artifact, lambda body: body["decode"].update(drop_border=True))
    assert read_contract(artifact).decode.drop_border
    edit(artifact, lambda body: body["decode"].update(drop_border=1))
    with pytest.raises(ContractError, match="drop_border is 1; expected bool"):
        read_contract(artifact)


def test_attention_is_told_by_the_outputs() -> None:
    assert not TINY_CONTRACT.has_attention
    maps = [TensorSpec(name, "float32", ("N", 1, 4, 4)) for name in ATTENTION_NAMES]
    some = dataclasses.replace(TINY_CONTRACT, outputs=(*TINY_CONTRACT.outputs, *maps[:2]))
    assert not some.has_attention
    every = dataclasses.replace(TINY_CONTRACT, outputs=(*TINY_CONTRACT.outputs, *maps))
    assert every.has_attention


def test_with_step_leaves_the_original_alone() -> None:
    TINY_CONTRACT.with_step(ProvenanceStep("build", "", ""))
    assert TINY_CONTRACT.provenance == ()


def test_the_contract_lies_beside_the_artifact() -> None:
    assert contract_path(Path("a/b.int8.onnx")) == Path("a/b.int8.onnx.json")


def test_a_missing_artifact_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"no file at .*gone\.onnx; .*make engine"):
        read_contract(tmp_path / "gone.onnx")


def test_a_missing_contract_is_named(artifact: Path) -> None:
    contract_path(artifact).unlink()
    with pytest.raises(ContractError, match=r"no contract at .*tiny\.onnx\.json"):
        read_contract(artifact)


def test_a_changed_artifact_is_refused_unless_told(artifact: Path) -> None:
    artifact.write_bytes(b"mod")
    with pytest.raises(ContractError, match="cut short"):
        read_contract(artifact)
    assert read_contract(artifact, verify=False).name == "tiny"


@pytest.mark.parametrize(
    "text", [b"", b"{", b"\xff\xfe\x00", b"[]", b"3", b"null", b'{"format": "other"}']
)
def test_what_is_no_contract_is_refused(artifact: Path, text: bytes) -> None:
    contract_path(artifact).write_bytes(text)
    with pytest.raises(ContractError, match="build again"):
        read_contract(artifact)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b: b.pop("stride_px"), "lacks key 'stride_px'"),
        (lambda b: b.update(strid_px=4), "unknown key 'strid_px'"),
        (lambda b: b["decode"].pop("top_k"), "decode lacks key 'top_k'"),
        (lambda b: b["inputs"][0].update(type="x"), r"inputs\[0\] has unknown key 'type'"),
        (lambda b: b.update(stride_px="4"), "stride_px is '4'; expected int"),
        (lambda b: b.update(stride_px=4.5), "stride_px is 4.5; expected int"),
        (lambda b: b.update(stride_px=True), "stride_px is True; expected int"),
        (lambda b: b.update(size_hw=[64]), "size_hw has 1 entries; expected 2"),
        (lambda b: b.update(size_hw=64), "size_hw is 64; expected a list"),
        (lambda b: b.update(size_hw=[0, 64]), "expected positive"),
        (lambda b: b.update(class_names=["a", 3]), r"class_names\[1\] is 3; expected str"),
        (lambda b: b.update(decode=[]), "decode is .*; expected an object"),
        (lambda b: b.update(precision="fp8"), "precision is 'fp8'"),
        (lambda b: b.update(target="tpu"), "target is 'tpu'"),
        (lambda b: b["outputs"][0].update(shape=["N", 3.5]), "expected int or str"),
    ],
)
def test_wrong_keys_and_values_are_named(
    artifact: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    edit(artifact, change)
    with pytest.raises(ContractError, match=message):
        read_contract(artifact)


def test_whole_numbers_may_stand_for_floats(artifact: Path) -> None:
    edit(artifact, lambda b: b.update(mean_bgr=[0, 1, 0]))
    mean = read_contract(artifact).mean_bgr
    assert mean == (0.0, 1.0, 0.0)
    assert all(isinstance(value, float) for value in mean)
