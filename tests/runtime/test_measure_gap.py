"""From the bare network to a live result: the lines add up, and the largest come with advice."""

from __future__ import annotations

import pytest

from runtime.measure_gap import (
    ADVICE,
    BESIDE,
    BETWEEN,
    NETWORK_IN_PLACE,
    WAITING,
    LineKind,
    advice_on,
    gap_lines,
    largest_parts,
)
from runtime.spans import STAGES
from tests.measurements import BETWEEN_MS, STAGE_MEANS_MS, journey, least_run, live, run


def test_lines_go_from_the_bare_network_to_the_live_result():
    lines = gap_lines(run())
    others = [stage for stage in STAGE_MEANS_MS if stage != "network"]
    assert [line.name for line in lines] == [
        *("bare network", NETWORK_IN_PLACE, *others, BETWEEN, "end to end"),
        *(BESIDE, WAITING, "live: capture to result"),
    ]
    kinds = [line.kind for line in lines]
    assert kinds[0] is LineKind.START and kinds.count(LineKind.SUM) == 2


@pytest.mark.parametrize("bare_ms", [7.5, 9.0])  # above the stage: on a machine that was not quiet
def test_every_whole_time_is_the_sum_of_what_stands_above_it(bare_ms):
    measured = run(journey=journey(bare_ms=bare_ms), live=live(5.0))
    so_far = 0.0
    for line in gap_lines(measured):
        if line.kind is LineKind.SUM:
            assert line.mean_ms == pytest.approx(so_far)
        else:
            so_far += line.mean_ms
    assert so_far == pytest.approx(5.0)


def test_each_line_is_what_was_measured():
    lines = {line.name: line for line in gap_lines(run())}
    assert lines[NETWORK_IN_PLACE].mean_ms == pytest.approx(0.5)
    assert lines[BETWEEN].mean_ms == pytest.approx(BETWEEN_MS)
    assert lines["capture"].mean_ms == pytest.approx(1.1)
    assert lines["capture"].latency == run().journey.stages[0].latency
    # A live result is read, but not drawn and published, before it is finished.
    beside_ms = STAGE_MEANS_MS["draw"] + STAGE_MEANS_MS["publish"]
    awaited_ms = sum(STAGE_MEANS_MS.values()) + BETWEEN_MS - beside_ms
    assert lines[BESIDE].mean_ms == pytest.approx(-beside_ms)
    assert lines[WAITING].mean_ms == pytest.approx(16.0 - awaited_ms)


def test_without_a_live_run_the_lines_end_with_end_to_end():
    assert gap_lines(least_run())[-1].name == "end to end"


def test_the_largest_parts_come_first_and_small_ones_not_at_all():
    assert [line.name for line in largest_parts(run())] == ["bare network", WAITING, "capture"]
    means = {"capture": 0.1, "network": 9.0, "draw": 0.15, "publish": 0.5}
    found = largest_parts(least_run(journey=journey(means, bare_ms=9.0)))
    assert [line.name for line in found] == ["bare network", "publish"]
    assert len(largest_parts(run(), most=1)) == 1


def test_every_part_that_a_run_may_have_comes_with_advice():
    assert set(STAGES) <= set(ADVICE)
    costs = [line for line in gap_lines(run()) if line.kind is not LineKind.SUM]
    assert all(advice_on(line) for line in costs if line.name != BESIDE)  # which costs nothing


def test_options_that_are_advised_exist():
    from runtime.options import build_parser
    from runtime.options_measure import build_parser as build_measure_parser

    known = build_parser().format_help() + build_measure_parser().format_help()
    advised = [word for text in ADVICE.values() for word in text.split("`")[1::2]]
    options = [word.split()[0] for word in advised if word.startswith("--")]
    assert options and all(option in known for option in options)
