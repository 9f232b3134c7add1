"""The measurement page's first section: one artifact in four figures, several in verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runtime.html_numbers import decimals_for, milliseconds, number, percent, short
from runtime.html_parts import Html, paragraph, section, table, tag
from runtime.measure_charts_runs import interval_text
from runtime.measure_gap import WAITING, largest_parts
from runtime.measure_page_parts import TitledRun
from runtime.measurement import Comparison, Live, Run

# Figures whose verdicts stand first; those on others stand in the comparison.
VERDICTS_ON = ("p50", "p99")
UNQUIET = (
    "The bare network came out slower than whole frames, which it should not be: other programs "
    "used the machine in between; measure again when it is quiet."
)


def in_short(runs: Sequence[TitledRun], comparisons: Sequence[Comparison]) -> Html:
    """Return what came out: figures of one artifact, or a table of several and their verdicts.

    Args:
        runs: At least one.
        comparisons: Their artifacts are named by title.
    """
    shown = _cards(runs[0].run) if len(runs) == 1 else _runs_table(runs)
    sentences = [verdict_sentence(entry) for entry in comparisons if entry.figure in VERDICTS_ON]
    if len(runs) == 1:
        sentences += _sentences(runs[0].run)
    sentences += [_throttling(titled, len(runs)) for titled in runs]
    listed = tag("ul", *(tag("li", sentence) for sentence in sentences if sentence))
    return section("summary", "In short", shown, listed)


def verdict_sentence(entry: Comparison) -> str:
    """Return a comparison in words, with the ratio that it rests on."""
    told = interval_text(entry)
    ratio = f"ratio {short(entry.ratio)}, {told if entry.low is None else f'95 % interval {told}'}"
    if entry.verdict in ("faster", "slower"):
        return (
            f"{entry.artifact} is {entry.verdict} than {entry.baseline}: {entry.figure}, {ratio}."
        )
    return f"{entry.artifact} against {entry.baseline}, {entry.figure}: {entry.verdict}; {ratio}."


def frames_per_second(run: Run) -> float:
    """Return how many frames go through per second, one after the other."""
    return 1000 / run.journey.end_to_end.mean_ms


def _cards(run: Run) -> Html:
    whole, bare = run.journey.end_to_end, run.journey.bare
    gap_ms = whole.p50_ms - bare.p50_ms
    cards = [
        _card("End to end", milliseconds(whole.p50_ms), {"p99": milliseconds(whole.p99_ms)}),
        _card("Frames per second", short(frames_per_second(run)), {"": "one after the other"}),
        _card("Bare network", milliseconds(bare.p50_ms), {"p99": milliseconds(bare.p99_ms)}),
        _card(
            "The gap", milliseconds(gap_ms), {"": f"{percent(gap_ms / whole.p50_ms)} of a frame"}
        ),
    ]
    if run.device is not None and run.device.energy_mj_per_frame is not None:
        energy = f"{short(run.device.energy_mj_per_frame)}\N{NO-BREAK SPACE}mJ"
        cards.append(_card("Energy of a frame", energy, {"": "idle power included"}))
    return tag("div", *cards, class_="cards figures")


def _card(title: str, figure: str, more: Mapping[str, str]) -> Html:
    """Return one figure; times are medians."""
    lines = (paragraph(f"{name} {text}".strip()) for name, text in more.items())
    return tag(
        "div", tag("h3", title), tag("p", tag("span", figure, class_="big")), *lines, class_="card"
    )


def _runs_table(runs: Sequence[TitledRun]) -> Html:
    journeys = [titled.run.journey for titled in runs]
    decimals = decimals_for(journey.end_to_end.p99_ms for journey in journeys)
    rows = []
    for titled in runs:
        whole, bare = titled.run.journey.end_to_end, titled.run.journey.bare
        times = (whole.p50_ms, whole.p99_ms, bare.p50_ms, whole.p50_ms - bare.p50_ms)
        cells = (number(value, decimals) for value in times)
        rows.append((titled.title, *cells, short(frames_per_second(titled.run))))
    head = ("artifact", "end to end p50", "end to end p99", "bare network p50", "the gap", "FPS")
    return table("Milliseconds per frame; FPS one frame after the other", head, rows)


def _sentences(run: Run) -> list[str]:
    whole_ms = run.journey.end_to_end.mean_ms
    found = [line for line in largest_parts(run) if line.name != WAITING]
    named = ", ".join(f"{line.name} {percent(line.mean_ms / whole_ms)}" for line in found)
    sentences = []
    if run.journey.bare.p50_ms > run.journey.end_to_end.p50_ms:
        sentences.append(UNQUIET)
    sentences += [f"Where most of a frame's time goes: {named}."] if found else []
    if run.live is not None:
        sentences.append(_live_sentence(run.live))
    if run.cold_start is not None:
        start = milliseconds(run.cold_start.total_ms)
        sentences.append(f"A new process has its first result after {start}.")
    return sentences


def _live_sentence(live: Live) -> str:
    pictures = live.results + live.dropped
    dropped = f"{live.dropped} of {pictures} pictures gave way to newer ones"
    return (
        f"At a camera's {short(live.frames_per_second)} pictures per second a result is "
        f"{milliseconds(live.age.p50_ms)} old, p99 {milliseconds(live.age.p99_ms)}; "
        f"{dropped if live.dropped else 'no picture was dropped'}."
    )


def _throttling(titled: TitledRun, runs: int) -> Html | str:
    device = titled.run.device
    if device is None or not device.throttled:
        return ""
    whose = "" if runs == 1 else f" while {titled.title} ran"
    text = f"The device held its clocks back{whose}: {', '.join(device.throttled)}."
    return tag("strong", text, class_="warning")
