"""The way from the bare network to a live result as text: it adds up, explains and advises."""

from __future__ import annotations

import re

from runtime.layers import NO_MODULE
from runtime.measure_gap import gap_lines
from runtime.measure_gap_text import MEANINGS, NAME_WIDTH, gap_text
from runtime.spans import STAGES
from runtime.terminal_lines import WIDTH
from tests.measurements import layer_profile, least_run, live, run


def test_the_lines_add_up() -> None:
    total, sums = 0.0, 0
    for line in list(gap_text(run()))[1:]:
        if line[0] not in "+-=" and sums:
            break
        value = float(line[NAME_WIDTH:].split()[0]) * (-1 if line[0] == "-" else 1)
        if line[0] == "=":
            assert abs(total - value) < 0.05
            sums += 1
        total = total + value if line[0] != "=" else value
    assert sums == 2


def test_every_part_says_what_it_is() -> None:
    named = {line.name for line in gap_lines(run()) if line.kind.value != "sum"}
    assert named | set(STAGES) - {"network"} <= set(MEANINGS)
    text = "\n".join(gap_text(run()))
    assert re.search(r"^  bare network +7\.50  the network alone, .* trtexec tells$", text, re.M)


def test_whole_times_say_their_rate() -> None:
    text = "\n".join(gap_text(run(live=live(dropped=10))))
    assert re.search(r"^= end to end .* one frame after another: \d+\.\d FPS$", text, re.M)
    assert re.search(r"^= live: .* at 30 pictures per second, 10 dropped$", text, re.M)


def test_a_large_part_comes_with_advice_in_lines_of_a_terminal() -> None:
    lines = list(gap_text(run()))
    assert re.search(r"^  bare network \(7\.50 ms\): .*lower precision", "\n".join(lines), re.M)
    assert max(map(len, lines)) <= WIDTH


def test_the_slowest_layer_is_named_where_layers_were_measured() -> None:
    profile = layer_profile()
    slowest = max(profile.layers, key=lambda layer: layer.median_ms)
    last = list(gap_text(run(layers=profile)))[-1]
    name = slowest.name if slowest.module == NO_MODULE else slowest.module
    assert last.startswith(f"  slowest layer: {name}, {slowest.median_ms:.3f} ms, ")
    assert "slowest layer" not in "\n".join(gap_text(least_run()))
