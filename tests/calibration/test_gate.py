"""The accuracy gate: what it returns to float, what it says, and what it refuses."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from calibration.calibrate import main
from calibration.gate import GateResult, pass_gate
from calibration.meters import Meter
from calibration.operations import multiply_adds
from calibration.quantize import Quantizable
from calibration.quantize_rules import EVERYWHERE, Placement
from calibration.sessions import Form
from export.onnx_graph import load_model
from export.precision_rules import noted_float_convolutions
from runtime.atomic_file import sha256_of
from runtime.contract import read_contract
from runtime.errors import CalibrationError
from tests.calibration.priced_network import (
    COSTS,
    FLOAT_AP,
    PriceList,
    make_quantizable,
    priced_accuracy,
)
from tests.calibration.tiny_network import write_images, write_tiny_network


@pytest.fixture(name="source", scope="module")
def quantizable() -> Quantizable:
    return make_quantizable()


def gated(
    source: Quantizable,
    budget: float,
    prices: PriceList,
    ranking: PriceList | None = None,
    placement: Placement = EVERYWHERE,
) -> GateResult:
    accuracy = Meter("ap", 7, FLOAT_AP, prices)
    quick = Meter("sqnr_db", 2, FLOAT_AP, ranking or PriceList())
    return pass_gate(source, placement, accuracy, quick, budget)


def test_within_the_budget_everything_stays_and_nothing_is_ranked(source: Quantizable) -> None:
    prices, ranking = PriceList(), PriceList()
    result = gated(source, 16, prices, ranking)
    assert result.returned == () and result.placement == EVERYWHERE
    assert result.before == result.after
    assert (prices.asked, ranking.asked) == (1, 0)
    assert "as planned" in result.summary(16)


@pytest.mark.parametrize(
    ("budget", "returned"),
    [
        (15.9, ["block.0/Conv"]),
        (6, ["block.0/Conv"]),
        (2, ["block.0/Conv", "join.1/Conv"]),
        (0, ["block.0/Conv", "join.1/Conv", "join.0/Conv"]),
    ],
)
def test_the_most_sensitive_return_until_the_budget_is_met(
    source: Quantizable, budget: float, returned: list[str]
) -> None:
    result = gated(source, budget, PriceList())
    assert list(result.returned) == returned
    assert result.placement.keep_float == set(returned)
    assert result.drop_points <= budget + 1e-9
    assert result.first_ap == pytest.approx(FLOAT_AP - sum(COSTS.values()))
    operations = multiply_adds(source.model)
    spent = sum(operations[name] for name in returned)
    assert result.before.int8 - result.after.int8 == spent > 0


def test_a_wrong_ranking_costs_measurements_not_convolutions(source: Quantizable) -> None:
    wrong = PriceList({"upper/Conv": 0.5, "lower.conv/Conv": 0.4, "block.0/Conv": 0.1})
    result = gated(source, 6, PriceList(), wrong)
    assert result.returned == ("block.0/Conv",)


def test_what_was_excluded_stays_so(source: Quantizable) -> None:
    placement = Placement(re.compile("join"), frozenset({"upper/Conv"}))
    result = gated(source, 1, PriceList(), placement=placement)
    assert result.placement == replace(
        placement, keep_float=frozenset({"upper/Conv", "block.0/Conv"})
    )


def test_a_budget_that_cannot_be_met_is_refused(source: Quantizable) -> None:
    everywhere = dict.fromkeys(multiply_adds(source.model), 0.03)
    with pytest.raises(CalibrationError) as refusal:
        gated(source, 2.9, PriceList(everywhere))
    message = str(refusal.value)
    assert "with all 9 convolutions in INT8, and by 3.00 with" in message
    assert "expected at most 2.9 points" in message


def test_a_drop_as_large_as_the_budget_passes(source: Quantizable) -> None:
    result = gated(source, 0.3, PriceList({"block.0/Conv": 0.80000 - 0.797}))
    assert result.returned == ()


class Command:
    """The calibrate command on the tiny network with prices."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, prices: PriceList) -> None:
        self.source = write_tiny_network(folder / "tiny.onnx")
        self.images = write_images(folder / "images", 4)
        self.out = folder / "out" / "int8.onnx"
        self.annotations = folder / "annotations.json"
        self.forms: list[Form] = []

        def opened(data: Path, contract: object, form: Form, limit: int | None) -> object:
            self.forms.append(form)
            assert (data.name, limit) == ("val", 3)
            return priced_accuracy(self.annotations, prices)

        monkeypatch.setattr("calibration.gate.open_meter", opened)

    def run(self, budget: str, *more: str) -> int:
        words = ["--onnx", str(self.source), "--images", str(self.images), "--out", str(self.out)]
        gate = ["--max-ap-drop", budget, "--gate-data", "val", "--gate-images", "3"]
        return main([*words, *gate, *more])


def test_the_command_records_what_it_blesses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # The real ranking of a random network says nothing of these prices: one is needed.
    command = Command(tmp_path, monkeypatch, PriceList({"block.0/Conv": 0.1}))
    assert command.run("0.5", "--explain") == 0
    assert command.forms == [Form.ONNXRUNTIME]
    printed = capsys.readouterr().out
    assert re.search(r"^float  block.0/Conv +sensitive: ", printed, re.MULTILINE)
    assert noted_float_convolutions(load_model(command.out))["block.0/Conv"] == "sensitive"
    contract = read_contract(command.out)
    calibrate, gate = contract.provenance[-2:]
    assert (calibrate.step, gate.step) == ("calibrate", "gate")
    assert contract.precision == "int8" and "8 of 11 convolutions" in calibrate.note
    assert gate.sha256 == sha256_of(command.annotations)
    assert "AP 0.80000 in float, 0.80000 in INT8, drop 0.00 of at most 0.5 points" in gate.note
    assert "after 1 of 9 convolutions returned to float" in gate.note
    assert "with a drop of 10.00; measured in integer kernels" in gate.note
    assert gate.note in printed


def test_a_half_base_is_measured_by_its_twin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = Command(tmp_path, monkeypatch, PriceList())
    assert command.run("20", "--base", "fp16") == 0
    assert command.forms == [Form.PORTABLE]
    gate = read_contract(command.out).provenance[-1]
    assert gate.note.endswith("measured its FP32 twin as GPUs compute it")


def test_a_gpu_target_is_measured_as_gpus_compute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = Command(tmp_path, monkeypatch, PriceList())
    assert command.run("20", "--target", "tensorrt-rtx") == 0
    assert command.forms == [Form.PORTABLE]
    assert read_contract(command.out).provenance[-1].note.endswith("measured as GPUs compute it")


def test_annotations_are_looked_at_before_anything_is_observed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = Command(tmp_path, monkeypatch, PriceList())
    monkeypatch.undo()
    assert command.run("0.5") == 2
    assert "error: " in capsys.readouterr().err
    assert list(command.out.parent.iterdir()) == []  # no ranges were kept: none were observed


def test_the_command_writes_nothing_that_it_does_not_bless(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    operations = multiply_adds(make_quantizable().model)
    command = Command(tmp_path, monkeypatch, PriceList(dict.fromkeys(operations, 0.03)))
    assert command.run("0.5", "--no-cache") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: AP drops by ")
    assert list(command.out.parent.iterdir()) == []


def test_annotations_without_objects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = Command(tmp_path, monkeypatch, PriceList())
    monkeypatch.setattr("tests.calibration.priced_network.FLOAT_AP", -1.0)
    assert command.run("0.5", "--no-cache") == 2
    assert "annotations.json lists no object on 7 images" in capsys.readouterr().err
