"""Sensitivity, with a meter that knows what each convolution costs."""

from __future__ import annotations

import pytest

from calibration.measurement_store import MeasurementStore
from calibration.meters import Meter
from calibration.quantize import Quantizable
from calibration.quantize_rules import EVERYWHERE, Placement
from calibration.sensitivity_trials import (
    Trials,
    block_of,
    measure_sensitivity,
    rank,
    rank_by_gain,
)
from calibration.sessions import Form
from calibration.sqnr import FLOAT_DB, SqnrMeter
from tests.calibration.priced_network import COSTS, FLOAT_AP, PriceList, make_quantizable
from tests.calibration.tiny_network import random_frames


@pytest.fixture(name="source", scope="module")
def quantizable() -> Quantizable:
    return make_quantizable()


def priced(source: Quantizable, placement: Placement = EVERYWHERE) -> tuple[Trials, PriceList]:
    prices = PriceList()
    return Trials(source, placement, Meter("ap", 7, FLOAT_AP, prices)), prices


def test_loss_and_gain_of_every_convolution_and_block(source: Quantizable) -> None:
    trials, _ = priced(source)
    result = measure_sensitivity(trials)
    assert result.int8_value == pytest.approx(FLOAT_AP - 0.16)
    assert len(result.nodes) == 9
    for row in result.nodes:
        assert row.only_int8 == pytest.approx(COSTS.get(row.part.name, 0))
        assert row.only_float == pytest.approx(COSTS.get(row.part.name, 0))
    blocks = {row.part.name: row for row in result.blocks}
    assert blocks["join"].part.nodes == ("join.0/Conv", "join.1/Conv")
    assert blocks["join"].only_int8 == pytest.approx(0.06)
    assert blocks["join"].only_float == pytest.approx(0.06)
    assert sorted(name for row in result.blocks for name in row.part.nodes) == sorted(
        row.part.name for row in result.nodes
    )


def test_the_most_sensitive_come_first(source: Quantizable) -> None:
    trials, _ = priced(source)
    ranked = [row.part.name for row in rank(measure_sensitivity(trials).nodes)]
    assert ranked[:3] == ["block.0/Conv", "join.1/Conv", "join.0/Conv"]
    assert rank_by_gain(trials)[:3] == ranked[:3]


def test_nothing_is_measured_twice(source: Quantizable) -> None:
    trials, prices = priced(source)
    measure_sensitivity(trials)
    distinct = sum(len(part.nodes) > 1 for part in trials.blocks)
    assert prices.asked == 1 + 2 * 9 + 2 * distinct
    measure_sensitivity(trials)
    rank_by_gain(trials)
    assert prices.asked == 1 + 2 * 9 + 2 * distinct


def test_a_second_run_goes_on(source: Quantizable) -> None:
    store, prices = MeasurementStore(), PriceList()
    meter = Meter("ap", 7, FLOAT_AP, prices)
    first = Trials(source, EVERYWHERE, meter, store)
    first.row(first.nodes[0])
    assert prices.asked == 3
    measure_sensitivity(Trials(source, EVERYWHERE, meter, store))
    again = PriceList()
    measure_sensitivity(Trials(source, EVERYWHERE, Meter("ap", 7, FLOAT_AP, again), store))
    assert again.asked == 0


def test_what_the_placement_keeps_float_is_no_part(source: Quantizable) -> None:
    trials, _ = priced(source, Placement(keep_float=frozenset({"block.0/Conv"})))
    assert "block.0/Conv" not in trials.everything
    result = measure_sensitivity(trials)
    assert result.int8_value == pytest.approx(FLOAT_AP - 0.06)
    assert trials.with_float(["join.0/Conv"]).keep_float == {"block.0/Conv", "join.0/Conv"}


def test_one_convolution_alone_in_int8(source: Quantizable) -> None:
    trials, _ = priced(source)
    floats = trials.everything.difference({"join.1/Conv"})
    trials, prices = priced(source, Placement(keep_float=floats))
    (row,) = measure_sensitivity(trials).nodes
    assert row.only_int8 == row.only_float == pytest.approx(0.04)
    assert prices.asked == 1  # everything in float is known


def test_real_noise_adds_up(source: Quantizable) -> None:
    quick = SqnrMeter(source.model, random_frames(2, seed=5), Form.PORTABLE, threads=1)
    trials = Trials(source, EVERYWHERE, Meter("sqnr_db", 2, FLOAT_DB, quick.measure))
    result = measure_sensitivity(trials)
    noises = [10 ** ((row.only_int8 - FLOAT_DB) / 10) for row in result.nodes]
    whole = 10 ** (-result.int8_value / 10)
    assert all(0 < noise < whole for noise in noises)
    # The sum lacks the skip branches, which only a neighbour in INT8 quantizes.
    assert 0.3 < sum(noises) / whole < 1.5
    gains = {row.part.name: row.only_float for row in result.nodes}
    assert gains[rank(result.nodes)[0].part.name] == max(gains.values()) > 0


@pytest.mark.parametrize(
    ("module", "block"),
    [
        ("hourglass.low2.low1.0.conv1", "hourglass.low2.low1.0"),
        ("hourglass.low1.0.skip.0", "hourglass.low1.0"),
        ("tl_module.p1_conv1.conv", "tl_module"),
        ("tl_module.conv1", "tl_module"),
        ("heads.tl_heat.0.conv", "heads.tl_heat"),
        ("heads.tl_heat.1", "heads.tl_heat"),
        ("tl_heats.1.0.conv", "tl_heats.1"),
        ("stem.1.conv", "stem"),
        ("conv.conv", "conv"),
        ("conv", "conv"),
        ("7", "7"),
    ],
)
def test_blocks_are_modules_of_the_detector(module: str, block: str) -> None:
    joins = ["", "hourglass", "hourglass.low1.0", "hourglass.low2", "hourglass.low2.low1.0"]
    assert block_of(module, [*joins, "tl_module"]) == block
