"""The measurement page's section on where every millisecond of a frame goes."""

from __future__ import annotations

from collections.abc import Sequence

from runtime.html_charts import HUES, REST_HUE, figure, swatch
from runtime.html_numbers import decimals_for, milliseconds, number, percent, signed
from runtime.html_parts import Cell, Html, join, paragraph, section, table, tag
from runtime.latency import Latency
from runtime.measure_charts import Part, Whole, stacked_bars
from runtime.measure_gap import (
    BETWEEN,
    NETWORK,
    WAITING,
    GapLine,
    LineKind,
    advice_on,
    gap_lines,
    largest_parts,
)
from runtime.measure_page_parts import ABSENT, TitledRun, each_run
from runtime.measurement import Run
from runtime.spans import STAGES

EXPLANATION = (
    "The bare network runs on a frame that lies ready, as trtexec measures it. End to end is one "
    "frame after the other through all stages. Means are shown, as they add up: every line below "
    "a whole time is added to it, down to the next one."
)
LIVE_EXPLANATION = "A live result is finished before it is drawn and published."
# The network has the first colour; what no stage owns is grey.
HUE_BY_STAGE = {
    **dict(
        zip(
            (NETWORK, *(stage for stage in STAGES if stage != NETWORK)),
            (hue for hue in range(HUES) if hue != REST_HUE),
            strict=True,
        )
    ),
    BETWEEN: REST_HUE,
}


def where_time_goes(runs: Sequence[TitledRun]) -> Html:
    """Return the stages as a bar and as a table from the bare network to the live age."""
    longest_ms = max(whole.mean_ms for titled in runs for whole in _wholes(titled.run))
    made = each_run(runs, lambda titled: _stages(titled.run, longest_ms))
    has_live = any(titled.run.live is not None for titled in runs)
    said = f"{EXPLANATION} {LIVE_EXPLANATION}" if has_live else EXPLANATION
    return section("stages", "Where every millisecond goes", paragraph(said), made)


def gap_table(run: Run) -> Html:
    """Return the lines from bare network to live age, parts signed, whole times in bold."""
    whole_ms = run.journey.end_to_end.mean_ms
    lines = gap_lines(run)
    decimals = decimals_for(line.mean_ms for line in lines)
    rows = []
    for line in lines:
        rows.append(_row(line, whole_ms, decimals))
        if line.kind is LineKind.START and run.journey.decode_ms is not None:
            rows.append(_decode_row(run.journey.decode_ms, decimals))
    head = ("from the bare network on", "mean, ms", "of end to end", "p50, ms", "p99, ms")
    return table("What a frame's time is made of, line by line", head, rows)


def _stages(run: Run, longest_ms: float) -> Html:
    found = largest_parts(run)
    bars = stacked_bars(_wholes(run), "Mean time of a frame and its parts", longest_ms)
    parts = [figure(bars), gap_table(run)]
    if found:
        parts += [tag("h3", "What to do about the largest"), _advice(found, run)]
    return join(parts)


def _wholes(run: Run) -> list[Whole]:
    journey = run.journey
    parts = [
        Part(entry.stage, entry.latency.mean_ms, _hue(entry.stage)) for entry in journey.stages
    ]
    rest_ms = journey.end_to_end.mean_ms - sum(part.mean_ms for part in parts)
    parts.append(Part(BETWEEN, max(0.0, rest_ms), _hue(BETWEEN)))
    wholes = [
        Whole("bare network", (Part(NETWORK, journey.bare.mean_ms, _hue(NETWORK)),)),
        Whole("end to end", tuple(parts)),
    ]
    if run.live is not None:
        age = Part("capture to result", run.live.age.mean_ms, REST_HUE)
        wholes.append(Whole("live", (age,)))
    return wholes


def _row(line: GapLine, whole_ms: float, decimals: int) -> list[str | Cell]:
    is_part = line.kind is LineKind.PART
    kind = "" if is_part else "sum"
    amount = signed(line.mean_ms, decimals) if is_part else number(line.mean_ms, decimals)
    cells = (amount, percent(line.mean_ms / whole_ms), *_percentiles(line.latency, decimals))
    hue = NETWORK if line.kind is LineKind.START else line.stage
    name = join((swatch(_hue(hue)), line.name)) if hue in HUE_BY_STAGE else line.name
    return [Cell(name, kind), *(Cell(cell, f"number {kind}".strip()) for cell in cells)]


def _decode_row(decode_ms: float, decimals: int) -> list[str | Cell]:
    """Return what decoding takes of the bare network's median."""
    cells = (ABSENT, ABSENT, number(decode_ms, decimals), ABSENT)
    return [
        Cell("of which decode, in the network", "same"),
        *(Cell(cell, "same") for cell in cells),
    ]


def _percentiles(latency: Latency | None, decimals: int) -> tuple[str, str]:
    if latency is None:
        return ABSENT, ABSENT
    return number(latency.p50_ms, decimals), number(latency.p99_ms, decimals)


def _advice(lines: Sequence[GapLine], run: Run) -> Html:
    whole_ms = run.journey.end_to_end.mean_ms
    items = (
        tag(
            "li",
            tag("strong", line.name),
            f", {milliseconds(line.mean_ms)}{_share(line, whole_ms)}: ",
            _with_code(advice_on(line) or "nothing known."),
        )
        for line in lines
    )
    return tag("ul", *items)


def _share(line: GapLine, whole_ms: float) -> str:
    """Say how much of a frame a line is; waiting is no part of it."""
    return "" if line.name == WAITING else f", {percent(line.mean_ms / whole_ms)} of a frame"


def _with_code(text: str) -> Html:
    """Return text in which what stands between backticks is set as code, unbroken."""
    pieces = enumerate(text.split("`"))
    return join(tag("code", each, class_="option") if i % 2 else each for i, each in pieces)


def _hue(stage: str) -> int:
    return HUE_BY_STAGE.get(stage, REST_HUE)
