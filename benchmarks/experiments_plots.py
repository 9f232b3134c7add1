"""Pictures of the experiments' results; the one file here that imports matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from benchmarks.demo_page import AP_COLUMNS
from benchmarks.experiments_pictures import Paired, PairExample
from benchmarks.experiments_tables import ARMS, OFFSET_COLUMNS, SHIPPED
from runtime.atomic_file import replace_when_done

Facts = Mapping[str, Any]

# Colours that stay apart for every kind of colour vision (Okabe and Ito).
BLUE, ORANGE, GREEN, BLACK = "#0072B2", "#D55E00", "#009E73", "#000000"
ARM_COLORS = dict(zip(ARMS, (BLUE, ORANGE), strict=True))
DOTS_PER_INCH = 110
SPREAD_ALPHA = 0.18  # of the band between the lowest and the highest seed


def draw_plots(facts: Facts, folder: Path) -> list[Path]:
    """Draw every plot that the facts of a result file allow; returns the files."""
    drawn = [
        _save(anchor_figure(facts["anchors"]), folder / "experiments-anchors.png"),
        _save(pairing_figure(facts["pairing"]), folder / "experiments-embeddings.png"),
        _save(offset_figure(facts["offsets"]), folder / "experiments-offsets.png"),
    ]
    if facts["corner_pooling"]:
        figure = pooling_figure(facts["corner_pooling"])
        drawn.append(_save(figure, folder / "experiments-corner-pooling.png"))
    return drawn


def draw_pairs(examples: Sequence[PairExample], folder: Path) -> Path:
    """Draw example images, paired by embedding above and by score alone below."""
    return _save(pair_figure(examples), folder / "experiments-pairs.png")


def anchor_figure(anchors: Facts) -> Figure:
    """Return bars of candidate boxes at 511x511 beside the corners kept, on a logarithmic axis."""
    side = 511
    column = anchors["compared_sides_px"].index(side)
    bars = [(d["name"], d["compared"][column], ORANGE) for d in anchors["designs"]]
    for entry in anchors["corners"]:
        counts = entry["compared"][column]
        bars.append((f"{entry['name']}: cells scored", counts["cells"], BLUE))
        bars.append((f"{entry['name']}: corners kept", counts["corners"], BLUE))
    figure = Figure(figsize=(7.5, 3.6), layout="constrained")
    axes = figure.subplots()
    names, counts, colors = zip(*bars, strict=True)
    drawn = axes.barh(names, counts, color=colors)
    axes.bar_label(drawn, labels=[f"{count:,}" for count in counts], padding=3, fontsize=8)
    axes.invert_yaxis()
    axes.set(xscale="log", xlim=(50, 400_000), xlabel="candidates", title=f"{side}x{side} image")
    return figure


def pooling_figure(runs: Sequence[Facts]) -> Figure:
    """Return learning curves with the seeds' range, and the final figures of every seed."""
    figure = Figure(figsize=(9.5, 3.6), layout="constrained")
    curves, finals = figure.subplots(1, 2, width_ratios=(1.15, 1))
    for shift, arm in enumerate(ARMS):
        chosen = [run for run in runs if run["pooling"] == arm]
        color, label = ARM_COLORS[arm], f"{arm} corner pooling"
        steps = [point["step"] for point in chosen[0]["curve"]]
        by_step = list(zip(*([p["ap"] for p in run["curve"]] for run in chosen), strict=True))
        low, high = [min(values) for values in by_step], [max(values) for values in by_step]
        curves.fill_between(steps, low, high, color=color, alpha=SPREAD_ALPHA, linewidth=0)
        means = [fmean(values) for values in by_step]
        curves.plot(steps, means, color=color, marker="o", markersize=3, label=label)
        values = [[run["final"][key] for run in chosen] for key in AP_COLUMNS]
        _dots(finals, values, (shift - 0.5) * 0.3, color, label)
    curves.set(xlabel="step", ylabel="AP", ylim=(0, None), title="mean and range of the seeds")
    curves.legend(loc="lower right")
    _name_groups(finals, list(AP_COLUMNS.values()), "at the end, a dot per seed")
    return figure


def pairing_figure(groups: Sequence[Facts]) -> Figure:
    """Return AP and the share of wrong pairs by the largest embedding distance."""
    figure = Figure(figsize=(9.5, 3.6), layout="constrained")
    precision, wrong = figure.subplots(1, 2)
    styles = {"crowded": (ORANGE, "o"), "ordinary": (BLUE, "s")}
    for is_shipped, line in ((True, "-"), (False, "--")):
        for image_set, (color, marker) in styles.items():
            chosen = [
                group["rows"]
                for group in groups
                if group["set"] == image_set and (group["weights"] == SHIPPED) == is_shipped
            ]
            if not chosen:
                continue
            names = [row["ae_threshold"] for row in chosen[0]]
            label = f"{'shipped' if is_shipped else 'runs, mean'}, {image_set}"
            look = {"color": color, "marker": marker, "linestyle": line, "label": label}
            by_name = list(zip(*chosen, strict=True))
            precision.plot(names, [fmean(row["ap"] for row in rows) for rows in by_name], **look)
            shares = [
                fmean(100 * row["wrong_pairs"] / max(1, row["shown"]) for row in rows)
                for rows in by_name
            ]
            wrong.plot(names, shares, **look)
    precision.set(ylabel="AP", title="average precision", ylim=(0, 1))
    wrong.set(ylabel="% of the boxes shown", title="boxes that join two objects", ylim=(0, None))
    for axes in (precision, wrong):
        axes.set_xlabel("largest embedding distance of a pair")
    precision.legend(loc="lower left", ncols=2, fontsize=8)
    return figure


def offset_figure(groups: Sequence[Facts]) -> Figure:
    """Return AP by object size for every choice of offsets; a panel per kind of weights."""
    panels = {
        "shipped weights": [group["rows"] for group in groups if group["weights"] == SHIPPED],
        "runs, a dot per seed": [g["rows"] for g in groups if g["weights"] != SHIPPED],
    }
    panels = {title: rows for title, rows in panels.items() if rows}
    figure = Figure(figsize=(4.75 * len(panels), 3.6), layout="constrained")
    drawn = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for axes, (title, chosen) in zip(drawn, panels.items(), strict=True):
        for index, color in enumerate((BLUE, GREEN, ORANGE)):
            values = [[rows[index][key] for rows in chosen] for key in OFFSET_COLUMNS]
            _dots(axes, values, (index - 1) * 0.2, color, chosen[0][index]["offsets"])
        _name_groups(axes, [AP_COLUMNS[key] for key in OFFSET_COLUMNS], title)
    drawn[0].set_ylabel("average precision")
    drawn[0].legend(title="offsets")
    return figure


def pair_figure(examples: Sequence[PairExample]) -> Figure:
    """Return a column per image: paired by embedding above, by score alone below."""
    figure = Figure(figsize=(2.2 * len(examples), 4.6), layout="constrained")
    grid = figure.subplots(2, len(examples), squeeze=False)
    for column, example in enumerate(examples):
        rows = (("by embedding", example.by_embedding), ("by score alone", example.by_score))
        for row, (title, paired) in enumerate(rows):
            axes = grid[row][column]
            axes.imshow(example.image[..., ::-1])
            axes.set_axis_off()
            wrong = int(paired.is_wrong.sum())
            axes.set_title(f"{title}: {wrong} wrong pair{'' if wrong == 1 else 's'}", fontsize=8)
            _draw_boxes(axes, paired)
    return figure


def _draw_boxes(axes: Axes, paired: Paired) -> None:
    """Outline boxes: on an object white, of two objects' corners red and dashed, others yellow."""
    boxes = paired.found.boxes_xyxy.tolist()
    for box, wrong, finds in zip(boxes, paired.is_wrong, paired.finds, strict=True):
        left, top, right, bottom = box
        place = ((left - 0.5, top - 0.5), right - left, bottom - top)  # pixel 0 is centred on 0
        axes.add_patch(Rectangle(*place, fill=False, color=BLACK, linewidth=2.2))
        color, line = ("white", "-") if finds else ("#FFD700", ":")
        if wrong:
            color, line = "#FF3030", "--"
        axes.add_patch(Rectangle(*place, fill=False, color=color, linestyle=line, linewidth=1.2))


def _dots(
    axes: Axes, groups: Sequence[Sequence[float]], shift: float, color: str, label: str
) -> None:
    """Draw the values of each group as dots above its number, with a bar at their mean."""
    for index, values in enumerate(groups):
        present = [value for value in values if value >= 0]  # -1: no such objects
        if not present:
            continue
        name = label if index == 0 else None
        axes.plot([index + shift] * len(present), present, "o", color=color, ms=4, label=name)
        mean = fmean(present)
        axes.plot([index + shift - 0.09, index + shift + 0.09], [mean, mean], color=color)


def _name_groups(axes: Axes, names: Sequence[str], title: str) -> None:
    axes.set_xticks(range(len(names)), [name.replace("AP ", "AP\n") for name in names])
    axes.set(xlim=(-0.5, len(names) - 0.5), ylim=(0, 1), title=title)
    axes.grid(axis="y", alpha=0.3)


def _save(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG, without the library's version inside: the same again if redrawn."""
    with replace_when_done(path) as partial:
        figure.savefig(partial, dpi=DOTS_PER_INCH, metadata={"Software": None})
    return path
