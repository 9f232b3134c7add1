"""The text of a roofline, on a network small enough to read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from export.device_peaks import find_device
from export.roofline_bound import bound_network
from export.roofline_changes import Change
from export.roofline_measured import LayerComparison, MeasuredRun, Predicted
from export.roofline_text import Roofline, roofline_text
from runtime.terminal_lines import WIDTH
from tests.export.rooflines import network_of, plain_device, two_convolutions
from tests.fakes.measured import run_of


def roofline(**changes: object) -> Roofline:
    network, device = network_of(two_convolutions()), plain_device()
    bound = bound_network(network, device, "fp32")
    whole = Roofline("tiny", (8, 8), 1, "int8", device, network, bound, None, {}, None)
    return replace(whole, **changes)


def test_layers_are_listed_with_the_highest_floor_first() -> None:
    lines = roofline_text(roofline(), 1, 2).splitlines()
    (head,) = (i for i, line in enumerate(lines) if line.startswith("layers, the 1 highest"))
    # stem: 4 x (192 + 108 + 4 + 256) bytes at 1 GB/s; head: 4 x (256 + 16 + 256)
    assert lines[head + 1].split() == [
        *("stem/Conv", "fp32", "0.0", "0.00", "0.00", "6.3", "0.0022", "memory", "51.5%"),
    ]
    assert lines[head + 2].startswith("MMAC: million") and lines[head + 3] == ""


def test_the_answer_comes_first_in_lines_of_a_terminal() -> None:
    lines = roofline_text(roofline(), 0, 1).splitlines()
    assert lines[1].startswith("whole network at least ") and " ms, at most " in lines[1]
    assert lines[2].startswith("layer by layer at least ") and lines[2].endswith("bound by memory")
    assert lines[3] == "highest layer: stem/Conv, 0.0022 ms (51.5%), bound by memory"
    assert max(map(len, lines)) <= WIDTH


def test_fp32_is_said_to_run_as_tf32_where_the_device_has_it() -> None:
    device = find_device("orin-nano")
    bound = bound_network(network_of(two_convolutions()), device, "fp32")
    text = roofline_text(roofline(device=device, bound=bound), 0, 1)
    assert "which is faster: --precision tf32" in " ".join(text.split())
    assert "--precision tf32" not in roofline_text(roofline(), 0, 1)


def test_all_layers_stand_in_the_order_of_the_graph() -> None:
    text = roofline_text(roofline(), 0, 1)
    assert "layers, all" in text and text.index("stem/Conv") < text.index("head.last/Conv")
    assert "\nhead  " in text and "\nhead.last  " not in text


def test_unknown_operators_are_named_at_the_top() -> None:
    network = replace(network_of(two_convolutions()), unknown={"my.Op": 2})
    lines = roofline_text(roofline(network=network), 0, 1).splitlines()
    assert "notice: 2 x my.Op is not known here: counted as no operations" in lines[:6]


def test_changes_that_are_known_in_part() -> None:
    rows = [Change("a", 10**9, 2.0, 1.0), Change("b", 10**9, None, 4.0), Change("c", 0, None, None)]
    text = roofline_text(roofline(changes={"what if": rows, "empty": []}), 0, 1)
    lines = [line.split() for line in text.splitlines()]
    assert ["a", "1.000", "2.000", "500", "1.000", "1000"] in lines
    assert ["b", "1.000", "-", "-", "4.000", "250"] in lines
    assert "this device has no such arithmetic" in text and "empty" not in text


def test_the_share_of_the_floor_that_was_reached() -> None:
    measured = MeasuredRun(run_of([[5.0]]), "Plain board")
    rows = (LayerComparison("stem/Conv", 1.0, 4.0), LayerComparison("head/Conv", 1.0, 0.0))
    text = roofline_text(roofline(predicted=Predicted(measured, rows, 0.5)), 0, 1)
    lines = [line.split() for line in text.splitlines()]
    assert ["stem/Conv", "1.000", "4.000", "25.0%"] in lines
    assert ["head/Conv", "1.000", "0.0000", "0.0%"] in lines
    assert "notice" not in text and "in no layer that was counted" in text


def test_another_precision_than_measured_gets_one_line() -> None:
    predicted = Predicted(MeasuredRun(run_of([[5.0]]), "Plain board"), (), 0.0)
    text = roofline_text(roofline(predicted=predicted, counted_as="fp16"), 0, 1)
    assert "notice: measured in int8, bounded as fp16; count the file that was measured" in text


def test_a_cache_of_unknown_size_is_said() -> None:
    assert "L2 of unknown size" in roofline_text(roofline(), 0, 1)
    with_cache = roofline_text(roofline(device=plain_device(4)), 0, 1)
    assert "4.0 MiB   user: a test" in with_cache


@pytest.mark.parametrize(("batch", "shown"), [(1, ""), (4, ", batch 4")])
def test_a_batch_is_named_and_rates_are_per_frame(batch: int, shown: str) -> None:
    text = roofline_text(roofline(batch=batch), 0, 1)
    assert text.startswith(f"tiny 8x8{shown}, fp32, on Plain board (one clock): a bound")


def test_long_names_keep_their_end() -> None:
    name = "a" * 60 + "/Conv"
    network = network_of(two_convolutions())
    layers = (replace(network.layers[0], nodes=(name,)), network.layers[1])
    network = replace(network, layers=layers)
    text = roofline_text(
        roofline(network=network, bound=bound_network(network, plain_device())), 0, 1
    )
    assert "…" + "a" * 30 + "/Conv " in text
