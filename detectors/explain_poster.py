"""All sections of an explanation on one sheet, and each on a sheet of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from detectors.explain_canvas import FAINT, MARGIN_IN, TEXT_PT, Sheet
from detectors.explain_failure_panel import draw_failures, failures_height
from detectors.explain_image import Explanation
from detectors.explain_pairs_panel import draw_pairs, pairs_height
from detectors.explain_panels import draw_heatmaps, draw_pools, heatmaps_height, pools_height

HEADER_IN = 0.9
SPACE_IN = 0.35  # between sections and around the sheet


@dataclass(frozen=True)
class Section:
    """One row of panels.

    Attributes:
        name: Of its own file, without the ending.
        height: Its height in inches; 0 where the network has nothing to show.
        draw: Draws it from the sheet's line downwards.
    """

    name: str
    height: Callable[[Explanation], float]
    draw: Callable[[Sheet, Explanation], None]


SECTIONS = (
    Section("heatmaps", heatmaps_height, draw_heatmaps),
    Section("pools", pools_height, draw_pools),
    Section("embeddings", pairs_height, draw_pairs),
    Section("failures", failures_height, draw_failures),
)


def draw_poster(explanation: Explanation, title: str, subtitle: str) -> Sheet:
    """Draw all sections below a title."""
    heights = {section: section.height(explanation) for section in SECTIONS}
    sections = [section for section in SECTIONS if heights[section]]
    total = HEADER_IN + sum(heights.values()) + SPACE_IN * len(sections)
    sheet = Sheet.blank(total)
    sheet.text(MARGIN_IN, 0.25, title, fontsize=20, fontweight="bold")
    sheet.text(MARGIN_IN, 0.62, subtitle, fontsize=TEXT_PT + 1, color=FAINT)
    top = HEADER_IN + 0.15
    for section in sections:
        section.draw(sheet.below(top), explanation)
        top += heights[section] + SPACE_IN
    return sheet


def draw_section(section: Section, explanation: Explanation) -> Sheet:
    """Draw one section alone."""
    sheet = Sheet.blank(section.height(explanation) + 2 * SPACE_IN)
    section.draw(sheet.below(SPACE_IN), explanation)
    return sheet


def write_pictures(
    folder: Path, explanation: Explanation, title: tuple[str, str], dpi: int
) -> list[Path]:
    """Write ``explain.png`` with everything, and a picture per section.

    Args:
        folder: Receives the files; created.
        explanation: What to show.
        title: The poster's title and subtitle.
        dpi: Pixels per inch; the sheet is 16 inches wide.

    Returns:
        The files, the poster first.
    """
    written = [folder / "explain.png"]
    draw_poster(explanation, *title).save(written[0], dpi)
    for section in SECTIONS:
        if section.height(explanation):
            written.append(folder / f"explain-{section.name}.png")
            draw_section(section, explanation).save(written[-1], dpi)
    return written
