"""From the bare network to a live result, line by line: where the time in between goes.

Lines are means, as only means add up: the median of a whole is not the sum of its parts' medians.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from runtime.latency import Latency
from runtime.measurement import Run

BETWEEN = "between the stages"
NETWORK = "network"
NETWORK_IN_PLACE = "network, beyond bare"
BESIDE = "draw and publish (beside)"
WAITING = "waiting, at a camera's pace"
# A live result is finished before these, which work in threads of their own.
AFTER_A_RESULT = ("draw", "publish")
# Less than this share of a frame is not worth anyone's time.
WORTH_A_WORD = 0.02

# What to do about a line, the first step first; what is typed stands between backticks.
ADVICE = {
    "capture": "Ask the camera for fewer pixels (`--camera-size`) or a format that needs no "
    "decoding (`--pixel-format YUYV`); a hardware decoder takes video off the CPU.",
    "letterbox": "Ask the camera for pictures close to the network's size (`--camera-size`): "
    "shrinking costs time per camera pixel.",
    "enqueue": "The host's work before the GPU starts: leave a core free.",
    "copy in": "It grows with the picture that is copied: ask the camera for a smaller one "
    "(`--camera-size`).",
    NETWORK: "A lower precision, a smaller input or a lighter network; `--layers` says where, "
    "`make roofline` what each could gain at best.",
    NETWORK_IN_PLACE: "Other stages leave cold caches, and clocks sink while the network waits: "
    "fix the device's clocks, and leave cores free.",
    "copy out": "It waits for the network's last kernel; what remains is fixed cost per frame.",
    "soft-NMS": "Fewer boxes: a higher `--score`.",
    "draw": "It is done for outputs with pictures only: `--show`, `--save`, `--serve`, snapshots.",
    "publish": "Fewer outputs, or slower ones: `--serve-fps`, `--serve-width`, `--mqtt-rate`.",
    BETWEEN: "The program around the stages; more than a few percent means that other programs "
    "take the cores: look at the timeline (`--trace`).",
    WAITING: "Frames wait for a free stage, and stages share the cores: close other programs, ask "
    "the camera for a lower frame rate (`--camera-fps`), or give the network fewer threads.",
}


class LineKind(enum.Enum):
    """What a line of the table is."""

    START = "start"
    PART = "part"
    SUM = "sum"


@dataclass(frozen=True)
class GapLine:
    """One line between the bare network and a live result.

    Attributes:
        name: What takes the time.
        kind: START and SUM are whole times, PART is added to what stands above.
        mean_ms: Milliseconds, mean of all frames; a part may be below zero.
        stage: Stage of the frame's way that it belongs to; "" for none.
        latency: Of the same, where it was measured as such.
    """

    name: str
    kind: LineKind
    mean_ms: float
    stage: str = ""
    latency: Latency | None = None


def gap_lines(run: Run) -> tuple[GapLine, ...]:
    """Return the lines of one artifact: bare network, parts, end to end, parts, live age.

    The parts between two whole times add up to their difference exactly. Reading a picture counts
    for a live result's age, drawing and publishing it does not.

    Args:
        run: What was measured.
    """
    journey = run.journey
    lines = [GapLine("bare network", LineKind.START, journey.bare.mean_ms, latency=journey.bare)]
    for entry in journey.stages:
        mean_ms = entry.latency.mean_ms
        if entry.stage == NETWORK:
            beyond_ms = mean_ms - journey.bare.mean_ms
            lines.insert(1, GapLine(NETWORK_IN_PLACE, LineKind.PART, beyond_ms, NETWORK))
        else:
            lines.append(GapLine(entry.stage, LineKind.PART, mean_ms, entry.stage, entry.latency))
    staged_ms = sum(entry.latency.mean_ms for entry in journey.stages)
    whole = journey.end_to_end
    lines.append(GapLine(BETWEEN, LineKind.PART, whole.mean_ms - staged_ms, BETWEEN))
    lines.append(GapLine("end to end", LineKind.SUM, whole.mean_ms, latency=whole))
    if run.live is not None:
        age = run.live.age
        beside_ms = sum(
            own.latency.mean_ms for own in journey.stages if own.stage in AFTER_A_RESULT
        )
        waiting_ms = age.mean_ms - (whole.mean_ms - beside_ms)
        lines.append(GapLine(BESIDE, LineKind.PART, -beside_ms))
        lines.append(GapLine(WAITING, LineKind.PART, waiting_ms, WAITING))
        lines.append(GapLine("live: capture to result", LineKind.SUM, age.mean_ms, latency=age))
    return tuple(lines)


def largest_parts(run: Run, most: int = 3) -> tuple[GapLine, ...]:
    """Return the parts that are worth work, the largest first, the bare network among them.

    Args:
        run: What was measured.
        most: How many at most.
    """
    whole_ms = run.journey.end_to_end.mean_ms
    lines = [line for line in gap_lines(run) if line.kind is not LineKind.SUM]
    worth = [line for line in lines if line.mean_ms >= WORTH_A_WORD * whole_ms]
    return tuple(sorted(worth, key=lambda line: -line.mean_ms)[:most])


def advice_on(line: GapLine) -> str:
    """Return what to do about a line; "" where nothing is known."""
    return ADVICE[NETWORK] if line.kind is LineKind.START else ADVICE.get(line.name, "")
