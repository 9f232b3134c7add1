"""The learning rate over a run."""

from __future__ import annotations

import pytest

from detectors.schedule import rate_at
from tests.detectors.tiny_training import tiny_options


def test_a_cosine_rises_then_falls():
    options = tiny_options(steps=100, warmup=10)
    rates = [rate_at(step, options) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and rates[9] == pytest.approx(1.0)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[54] == pytest.approx(0.51, abs=0.02)
    assert rates[-1] == pytest.approx(0.02, abs=0.001)


def test_a_step_falls_to_a_tenth_where_it_is_told_to():
    options = tiny_options(steps=500_000, warmup=0, schedule="step")
    assert rate_at(0, options) == rate_at(449_999, options) == 1.0
    assert rate_at(450_000, options) == rate_at(499_999, options) == 0.1
    early = tiny_options(steps=10, warmup=2, schedule="step", decay_at=0.5)
    assert [rate_at(s, early) for s in range(7)] == [0.5, 1, 1, 1, 1, 0.1, 0.1]


def test_without_warmup_the_first_step_has_the_full_rate():
    assert rate_at(0, tiny_options(warmup=0)) == 1.0
