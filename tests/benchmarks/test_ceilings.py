"""What a device reaches at best: measured small on the processor, and what the roofline reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks import ceilings
from benchmarks.ceilings import COPY, Arithmetic, Load, figures_of, find_ceilings, roofline_json
from benchmarks.report import Findings
from export.device_peaks import DEVICES
from export.device_record import Evidence, read_device, with_ceilings
from runtime.errors import BackendError

CPU = torch.device("cpu")
SMALL = Load(side=64, copied_bytes=4096, repeats=2)
FIGURES = {"tera_operations": {"fp16": 700.0}, "gigabytes_per_second": 4000.0}


def test_figures_by_hand() -> None:
    load = Load(side=1000, copied_bytes=10**9, repeats=4)
    figures = figures_of({"fp32": [16.0, 8.0, 9.0], COPY: [4000.0, 5000.0]}, load)
    # 2 * 1000^3 operations in 2 ms; 2 * 10^9 bytes in a second.
    assert figures["tera_operations"] == {"fp32": pytest.approx(1.0)}
    assert figures["gigabytes_per_second"] == pytest.approx(2.0)


@pytest.mark.parametrize("name", ["fp32", "bf16", "int8"])
def test_the_processor_is_measured(name: str) -> None:
    findings = find_ceilings(CPU, {name: ceilings.GPU_KINDS[name]}, SMALL, 7)
    assert {label: len(values) for label, values in findings.samples_ms.items()} == {
        name: 7,
        COPY: 7,
    }
    assert findings.facts["tera_operations"][name] > 0
    assert findings.facts["gigabytes_per_second"] > 0


def test_arithmetic_that_a_device_lacks_is_named_and_left_out() -> None:
    kinds = {"logic": Arithmetic(torch.bool), "fp32": Arithmetic(torch.float32)}
    findings = find_ceilings(CPU, kinds, SMALL, 7)
    assert findings.facts["logic"].startswith("not run: ")
    assert list(findings.facts["tera_operations"]) == ["fp32"]


def test_tf32_is_switched_back() -> None:
    before = torch.backends.cuda.matmul.allow_tf32
    find_ceilings(CPU, {"tf32": Arithmetic(torch.float32, allows_tf32=True)}, SMALL, 7)
    assert torch.backends.cuda.matmul.allow_tf32 == before


def test_the_roofline_reads_a_gpus_ceilings(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    findings = Findings({}, {}, facts=FIGURES | {"int8": "not run: no"})
    path.write_text(roofline_json(torch.device("cuda"), "NVIDIA H200", findings, "a command"))
    device = with_ceilings(DEVICES["h200"], path)
    assert device.tera_operations["fp16"].value == 700.0
    assert device.tera_operations["fp16"].evidence is Evidence.MEASURED
    assert device.tera_operations["int8"] == DEVICES["h200"].tera_operations["int8"]
    assert device.bytes_per_second == 4e12


def test_a_processor_is_a_device_of_its_own(tmp_path: Path) -> None:
    out, file = tmp_path / "o.json", tmp_path / "p.json"
    small = pytest.MonkeyPatch()
    with small.context() as patch:
        patch.setattr(ceilings, "CPU_LOAD", SMALL)
        patch.setattr(torch, "set_num_threads", lambda threads: None)
        words = ["--device", "cpu", "--threads", "1", "--rounds", "7", "--out", str(out)]
        assert ceilings.main([*words, "--for-roofline", str(file)]) == 0
    device = read_device(file)
    assert device.title.endswith(", threads: 1")
    measured = json.loads(out.read_text())["facts"]["tera_operations"]["fp32"]
    assert device.operations_per_second("fp32") == pytest.approx(measured * 1e12)


def test_without_a_gpu_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BackendError, match="torch sees no GPU"):
        ceilings.measure(7)
    assert ceilings.main(["--out", str(tmp_path / "o.json")]) == 2
    assert "torch sees no GPU" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
