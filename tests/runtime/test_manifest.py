"""Engines that this machine cannot run are refused by their manifest, with reason and remedy."""

from __future__ import annotations

import dataclasses
import json
import struct
from pathlib import Path
from typing import Any

import pytest

from runtime.contract import contract_path, read_contract, write_contract
from runtime.errors import ArtifactError, ContractError
from runtime.manifest import (
    EngineHeader,
    EngineHost,
    EngineManifest,
    PluginRecord,
    check_engine,
    parse_header,
    read_header,
    same_version,
)
from tests.builders import TINY_CONTRACT

POOL = PluginRecord("CornerPool", "1", "ab" * 32)
MANIFEST = EngineManifest(
    product="tensorrt",
    version="10.3.0.30",
    compute_capabilities=("8.7",),
    gpu_name="Orin",
    precision="fp16",
    plugins=(),
    onnx_sha256="cd" * 32,
    ranges=None,
    version_compatible=False,
    hardware_compatibility="none",
    build_arguments=(
        "--onnx",
        "build/a b.onnx",
        "--out",
        "build/x.engine",
        "--batch",
        "1",
        "4",
        "4",
    ),
)
HOST = EngineHost("tensorrt", "10.3.0.30", "8.7", "Orin")
RTX = dataclasses.replace(
    MANIFEST,
    product="tensorrt-rtx",
    version="1.7.1.116",
    compute_capabilities=("8.6", "8.9"),
    gpu_name=None,
)
RTX_HOST = EngineHost("tensorrt-rtx", "1.7.1.116", "8.9", "GeForce")


def header_of(manifest: EngineManifest, size: int = 64) -> bytes:
    """Return the first 64 bytes of such an engine, as they were read from real ones."""
    header = bytearray(64)
    header[:4] = b"ftrt" if manifest.product == "tensorrt" else b"vtrt"
    header[24:28] = bytes(map(int, manifest.version.split(".")))
    if manifest.product == "tensorrt-rtx":
        bits = {"7.5": 1, "8.6": 4, "8.9": 8, "12.0": 16}
        struct.pack_into("<Q", header, 16, size)
        struct.pack_into("<I", header, 32, sum(bits[c] for c in manifest.compute_capabilities))
    return bytes(header)


def check(manifest: EngineManifest, host: EngineHost) -> None:
    check_engine(manifest, header_of(manifest), host)


def changed(base: Any, **values: Any) -> Any:
    return dataclasses.replace(base, **values)


@pytest.mark.parametrize(
    ("manifest", "host"),
    [
        (MANIFEST, HOST),
        (MANIFEST, changed(HOST, version="10.3.0")),  # JetPack's module tells three numbers
        (MANIFEST, changed(HOST, gpu_name=None)),
        (changed(MANIFEST, version_compatible=True), changed(HOST, version="10.16.2.10")),
        (
            changed(MANIFEST, hardware_compatibility="ampere-plus"),
            changed(HOST, compute_capability="12.0", gpu_name="other"),
        ),
        (
            changed(MANIFEST, hardware_compatibility="same-compute-capability"),
            changed(HOST, gpu_name="other"),
        ),
        (changed(MANIFEST, plugins=(POOL,)), changed(HOST, plugins=(POOL,))),
        (MANIFEST, changed(HOST, plugins=(POOL,))),  # a library that it does not need
        (RTX, RTX_HOST),
        (RTX, changed(RTX_HOST, compute_capability="8.6")),
    ],
)
def test_engines_that_fit(manifest: EngineManifest, host: EngineHost) -> None:
    check(manifest, host)


@pytest.mark.parametrize(
    ("manifest", "host", "message"),
    [
        (MANIFEST, changed(HOST, compute_capability="8.9"), r"capability 8\.7; this one .* 8\.9"),
        (MANIFEST, changed(HOST, gpu_name="Orin Nano"), "built on Orin, here is Orin Nano"),
        (MANIFEST, changed(HOST, version="10.3.0.31"), r"10\.3\.0\.30, here is 10\.3\.0\.31"),
        (MANIFEST, changed(HOST, version="10.13.3"), r"10\.3\.0\.30, here is 10\.13\.3"),
        (MANIFEST, RTX_HOST, "for TensorRT; here is TensorRT-RTX"),
        (RTX, HOST, "for TensorRT-RTX; here is TensorRT,"),
        (RTX, changed(RTX_HOST, compute_capability="12.0"), r"8\.6, 8\.9; this one .* 12\.0"),
        (RTX, changed(RTX_HOST, version="1.6.1.120"), r"here is 1\.6\.1\.120"),
        (
            changed(MANIFEST, version_compatible=True),
            changed(HOST, version="11.1.0.106"),
            r"same first number \(10\)",
        ),
        (
            changed(MANIFEST, version_compatible=True),
            changed(HOST, version="10.2.0.1"),
            "runs on later versions",
        ),
        (
            changed(MANIFEST, hardware_compatibility="ampere-plus"),
            changed(HOST, compute_capability="7.5"),
            r"capability 8\.0 or later; this one .* 7\.5",
        ),
    ],
)
def test_engines_of_another_machine(
    manifest: EngineManifest, host: EngineHost, message: str
) -> None:
    with pytest.raises(ArtifactError, match=message) as caught:
        check(manifest, host)
    assert "build it again here: python -m export.build_engine --onnx 'build/a b.onnx' " in str(
        caught.value
    )
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "ending"),
    [
        (changed(RTX_HOST, compute_capability="12.0"), "--target tensorrt-rtx --target-sm 120"),
        (changed(RTX_HOST, compute_capability="9.0"), "--batch 1 4 4 --target tensorrt"),
        (HOST, "--batch 1 4 4 --target tensorrt"),
    ],
)
def test_the_command_is_the_one_for_this_machine(host: EngineHost, ending: str) -> None:
    with pytest.raises(ArtifactError) as caught:
        check(RTX, host)
    assert str(caught.value).endswith(ending)


@pytest.mark.parametrize(
    ("here", "message"),
    [
        ((), r"calls the plugin CornerPool, and no plugin library here has it.*make plugins"),
        ((changed(POOL, version="0"),), "version 1, the library here has version 0"),
        ((changed(POOL, sha256="ee" * 32),), "SHA-256 eeeeeeeeeeee, the engine .* abababababab"),
        ((changed(POOL, name="CornerDecode"),), "no plugin library here"),
    ],
)
def test_plugins_that_are_missing_old_or_changed(
    here: tuple[PluginRecord, ...], message: str
) -> None:
    with pytest.raises(ArtifactError, match=message):
        check(changed(MANIFEST, plugins=(POOL,)), changed(HOST, plugins=here))


@pytest.mark.parametrize("header", [b"", b"ftrt", b"garbage!" * 8, b"\0" * 64, b"ONNX" * 16])
def test_what_is_no_engine(header: bytes) -> None:
    with pytest.raises(ArtifactError, match="cut short or no engine; build again"):
        check_engine(MANIFEST, header, HOST)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (header_of(RTX), "is an engine of TensorRT-RTX, its contract speaks of TensorRT"),
        (header_of(changed(MANIFEST, version="10.7.0.23")), r"version 10\.7\.0\.23, its contract"),
    ],
)
def test_a_file_that_is_not_the_contracts(header: bytes, message: str) -> None:
    with pytest.raises(ArtifactError, match=message):
        check_engine(MANIFEST, header, HOST)


def test_an_rtx_file_for_other_gpus_than_its_contract_says() -> None:
    header = header_of(changed(RTX, compute_capabilities=("7.5", "12.0")))
    with pytest.raises(ArtifactError, match=r"capability 7\.5, 12\.0, its contract says 8\.6, 8"):
        check_engine(RTX, header, RTX_HOST)


def test_what_a_header_tells() -> None:
    assert parse_header(header_of(MANIFEST)) == EngineHeader("tensorrt", "10.3.0.30")
    found = parse_header(header_of(RTX, 1234))
    assert found == EngineHeader("tensorrt-rtx", "1.7.1.116", ("8.6", "8.9"), 1234)


@pytest.mark.parametrize("size", [64, 99, 101])
def test_a_file_of_another_size_than_its_header_says(tmp_path: Path, size: int) -> None:
    engine = tmp_path / "x.engine"
    engine.write_bytes(header_of(RTX, 100).ljust(size, b"x"))
    with pytest.raises(ArtifactError, match=rf"has {size} bytes; expected 100"):
        read_header(engine)


def test_reading_the_start_of_a_file(tmp_path: Path) -> None:
    engine = tmp_path / "x.engine"
    engine.write_bytes(header_of(RTX, 100).ljust(100, b"x"))
    assert read_header(engine) == header_of(RTX, 100)
    engine.write_bytes(b"vtrt")
    with pytest.raises(ArtifactError, match=r"x\.engine: the file starts with b'vtrt' and has 4"):
        read_header(engine)
    with pytest.raises(ArtifactError, match=r"no file at .*gone\.engine"):
        read_header(tmp_path / "gone.engine")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("10.3.0.30", "10.3.0", True),
        ("10.3.0", "10.3.1", False),
        ("10.3.0.30", "10.30.0.3", False),
        ("11.1.0.106", "11.1.0.106.post1", True),
    ],
)
def test_versions(one: str, other: str, same: bool) -> None:
    assert same_version(one, other) is same_version(other, one) is same


@pytest.mark.parametrize(
    ("key", "value"), [("product", "openvino"), ("hardware_compatibility", "all")]
)
def test_unknown_names_are_refused(key: str, value: str) -> None:
    with pytest.raises(ContractError, match=f"{key} is '{value}'; expected one of"):
        changed(MANIFEST, **{key: value})


def test_the_manifest_is_a_section_of_the_contract(tmp_path: Path) -> None:
    engine = tmp_path / "x.engine"
    engine.write_bytes(b"engine")
    contract = changed(TINY_CONTRACT, engine=changed(MANIFEST, plugins=(POOL,)))
    body = json.loads(write_contract(contract, engine).read_text())
    assert body["engine"]["plugins"] == [
        {"name": "CornerPool", "version": "1", "sha256": "ab" * 32}
    ]
    assert read_contract(engine).engine == contract.engine


def test_other_artifacts_have_no_such_section(tmp_path: Path) -> None:
    model = tmp_path / "x.onnx"
    model.write_bytes(b"model")
    assert "engine" not in json.loads(write_contract(TINY_CONTRACT, model).read_text())
    assert read_contract(model).engine is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": None}, "engine:version is None; expected str"),
        ({"version_compatible": 1}, "version_compatible is 1; expected bool"),
        ({"gpus": []}, "engine has unknown key 'gpus'"),
        ({"product": "x"}, "product is 'x'"),
    ],
)
def test_a_wrong_section_is_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    engine = tmp_path / "x.engine"
    engine.write_bytes(b"engine")
    write_contract(changed(TINY_CONTRACT, engine=MANIFEST), engine)
    path = contract_path(engine)
    body = json.loads(path.read_text())
    body["engine"].update(change)
    path.write_text(json.dumps(body))
    with pytest.raises(ContractError, match=message):
        read_contract(engine)


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    engine = tmp_path / "x.engine"
    engine.write_bytes(b"engine")
    write_contract(changed(TINY_CONTRACT, engine=MANIFEST), engine)
    path = contract_path(engine)
    body = json.loads(path.read_text())
    del body["engine"]["gpu_name"]
    path.write_text(json.dumps(body))
    with pytest.raises(ContractError, match="engine lacks key 'gpu_name'"):
        read_contract(engine)
