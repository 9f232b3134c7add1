"""Convolutions that are not worth INT8: which are spared, and that every plan leaves them float."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from calibration.meters import Meter
from calibration.quantize import Quantizable, quantize_model
from calibration.quantize_rules import EVERYWHERE, Placement
from calibration.sensitivity_trials import Trials
from calibration.spared import choose_spared
from calibration.sqnr import FLOAT_DB
from tests.calibration.priced_network import PriceList, make_quantizable


@pytest.fixture(name="source", scope="module")
def quantizable() -> Quantizable:
    return make_quantizable()


def spared(
    source: Quantizable, gains_db: Mapping[str, float], placement: Placement = EVERYWHERE
) -> frozenset[str]:
    meter = Meter("sqnr_db", 2, FLOAT_DB, PriceList(gains_db))
    return choose_spared(source, placement, meter)


@pytest.mark.parametrize(
    ("gains_db", "expected"),
    [
        ({"join.0/Conv": 3.0}, {"join.0/Conv"}),
        ({"join.0/Conv": 0.5}, {"join.0/Conv"}),
        ({"join.0/Conv": 0.49}, set()),
        ({"block.0/Conv": 30.0}, set()),  # 17 % of the operations
        ({"block.0/Conv": 30.0, "join.0/Conv": 3.0}, {"join.0/Conv"}),
        # 1.9 % each: only two fit
        (
            {"join.0/Conv": 1.0, "join.1/Conv": 2.0, "head.0/Conv": 3.0},
            {"join.1/Conv", "head.0/Conv"},
        ),
        # 4.3 % leaves no room for another
        ({"lower.conv/Conv": 2.0, "join.0/Conv": 1.0}, {"lower.conv/Conv"}),
        ({}, set()),
    ],
)
def test_noise_is_weighed_against_operations(
    source: Quantizable, gains_db: dict[str, float], expected: set[str]
) -> None:
    assert spared(source, gains_db) == expected


def test_what_is_float_anyway_is_not_measured(source: Quantizable) -> None:
    kept = Placement(keep_float=frozenset({"join.0/Conv"}))
    assert spared(source, {"join.0/Conv": 3.0}, kept) == set()


def test_something_stays_in_int8(source: Quantizable) -> None:
    trials = Trials(source, EVERYWHERE, Meter("sqnr_db", 2, FLOAT_DB, PriceList()))
    only = Placement(keep_float=trials.everything - {"join.0/Conv"})
    assert spared(source, {"join.0/Conv": 3.0}, only) == set()


def test_every_plan_leaves_spared_convolutions_float(source: Quantizable) -> None:
    sparing = replace(source, spared=frozenset({"join.0/Conv"}))
    decisions = {d.node: d for d in quantize_model(sparing, EVERYWHERE).plan.decisions}
    assert (decisions["join.0/Conv"].int8, decisions["join.0/Conv"].rule) == (False, "sensitive")
    assert decisions["join.1/Conv"].int8
    trials = Trials(sparing, EVERYWHERE, Meter("sqnr_db", 2, FLOAT_DB, PriceList()))
    assert "join.0/Conv" not in trials.everything
    assert "join.0/Conv" in trials.with_float(["join.1/Conv"]).keep_float
