"""The command: its text, its files, and what it refuses in one line."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path

import pytest

from export import roofline
from export.device_peaks import DEVICES
from export.onnx_graph import load_model, save_model
from export.precision import convert_to_fp16
from export.roofline import main
from export.roofline_changes import change_network
from runtime.measurement_file import write_measurement
from tests.export.rooflines import PEAKS
from tests.fakes.measured import measurement_of, run_of

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def few_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare two networks of the registry, not all: half a minute less."""
    names = ("cornernet-nano", "cornernet-squeeze")
    monkeypatch.setattr(roofline, "change_network", partial(change_network, names=names))


@pytest.fixture(name="network")
def nano_options(nano_onnx: Path, tmp_path: Path) -> list[str]:
    """Options for nano as a file without a contract."""
    shutil.copy(nano_onnx, tmp_path / "nano.onnx")
    return ["--onnx", str(tmp_path / "nano.onnx")]


def refused(arguments: list[str], capsys: Capture) -> str:
    """Run the command; returns its one line of error."""
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_the_first_lines_say_that_it_is_a_bound(network: list[str], capsys: Capture) -> None:
    assert main([*network, "--device", "orin-nano"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "nano.onnx, fp32, on Jetson Orin Nano 8 GB" in lines[0]
    text = "\n".join(lines)
    assert "a bound, not a promise" in " ".join("\n".join(lines[:2]).split())
    assert "\nLeft out: starting" in text
    assert "the 20 highest floors of 62" in text and "stages" in text
    assert "cornernet-squeeze 511x511" in text and "peaks of orin-nano, dense" in text


def test_everything_goes_into_json_and_a_picture(
    nano_onnx: Path, tmp_path: Path, capsys: Capture
) -> None:
    out, picture = tmp_path / "r.json", tmp_path / "r.png"
    options = ["--precision", "int8", "--top", "0", "--batch", "2"]
    files = ["--json", str(out), "--picture", str(picture)]
    assert main(["--onnx", str(nano_onnx), "--device", "agx-orin", *options, *files]) == 0
    assert f"wrote {out} and {picture}" in capsys.readouterr().out
    record = json.loads(out.read_text())
    assert record["format"] == "cornerrt-roofline-1" and record["batch"] == 2
    layers = record["floor"]["layers"]
    assert record["floor"]["layer_by_layer_ms"] == pytest.approx(
        sum(layer["floor_ms"] for layer in layers)
    )
    assert sum(layer["multiply_adds"] for layer in layers) == record["multiply_adds"]
    assert {layer["precision"] for layer in layers} == {"int8"}
    assert record["device"]["gigabytes_per_second"]["evidence"] == "published"
    assert "input size, int8" in record["changes"]
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_device_of_ones_own(network: list[str], tmp_path: Path, capsys: Capture) -> None:
    peaks = tmp_path / "peaks.json"
    peaks.write_text(json.dumps(PEAKS))
    assert main([*network, "--device", "custom", "--peaks", str(peaks)]) == 0
    out = capsys.readouterr().out
    assert "on Example board (one clock)" in out and "this device has no such arithmetic" in out
    line = refused([*network, "--device", "h200", "--peaks", str(peaks)], capsys)
    assert "--peaks F.json and --device custom go together" in line
    assert "without --peaks; add it" in refused([*network, "--device", "custom"], capsys)


def test_measured_ceilings_stand_beside_the_datasheets(
    network: list[str], tmp_path: Path, capsys: Capture
) -> None:
    ceilings = {
        "format": "cornerrt-ceilings-1",
        "device": "NVIDIA H200",
        "source": "a test",
        "tera_operations": {"fp32": 50},
        "gigabytes_per_second": 4000,
    }
    (tmp_path / "c.json").write_text(json.dumps(ceilings))
    options = ["--device", "h200", "--measured-ceilings", str(tmp_path / "c.json")]
    assert main([*network, *options]) == 0
    assert "\nat measured ceilings, whole network" in capsys.readouterr().out


def test_measured_times_stand_beside_the_floor(
    network: list[str], tmp_path: Path, capsys: Capture
) -> None:
    write_measurement(measurement_of(run_of([[5.0, 6.0]])), tmp_path / "m.json")
    assert main([*network, "--device", "h200", "--measured", str(tmp_path / "m.json")]) == 0
    out = capsys.readouterr().out
    assert "notice: measured on Example CPU, bounded on NVIDIA H200" in out
    assert "notice: measured in int8, bounded as fp32" in out
    assert "network, layer by layer" in out and "reached" in out


def test_an_unknown_device_gets_the_list(network: list[str], capsys: Capture) -> None:
    line = refused([*network, "--device", "jetson"], capsys)
    assert "unknown device 'jetson'" in line and all(name in line for name in DEVICES)


def test_a_precision_that_the_device_lacks(network: list[str], capsys: Capture) -> None:
    line = refused([*network, "--device", "xavier", "--precision", "bf16"], capsys)
    assert line.startswith("error: xavier has no bf16 arithmetic")


def test_a_graph_of_another_precision_counts_as_it_is(
    nano_onnx: Path, tmp_path: Path, capsys: Capture
) -> None:
    half = ["--onnx", str(save_model(convert_to_fp16(load_model(nano_onnx)), tmp_path / "h.onnx"))]
    assert main([*half, "--device", "t4"]) == 0
    out = capsys.readouterr().out
    assert "h.onnx, as written, on NVIDIA T4" in out and "all of the network in it" not in out
    line = refused([*half, "--device", "t4", "--precision", "int8"], capsys)
    assert "a graph in fp16; only an FP32 graph" in line
    line = refused([*half, "--device", "titan-x-pascal"], capsys)
    assert "titan-x-pascal has no fp16" in line


def test_an_output_that_cannot_be_written_is_refused_first(
    network: list[str], tmp_path: Path, capsys: Capture
) -> None:
    line = refused([*network, "--device", "t4", "--json", str(tmp_path / "x.txt")], capsys)
    assert "--json got" in line and "expected a name that ends in .json" in line


def test_a_network_must_be_named_once(capsys: Capture) -> None:
    assert "one of the arguments --onnx --model is required" in refused(["--device", "t4"], capsys)
