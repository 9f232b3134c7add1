"""Colours can be read: the ratios that WCAG 2.1 asks for, in the light and the dark."""

from __future__ import annotations

import re

import pytest

from runtime.html_charts import HUES
from runtime.html_style import SCRIPT, STYLE

# The hues carry names in the ground's colour, and name curves themselves.
READ = ("ink", "soft", "accent", "worse", "better", *(f"hue{i}" for i in range(HUES)))
FOR_TEXT = 4.5  # WCAG 2.1, level AA


def themes() -> list[dict[str, str]]:
    light, dark = re.findall(r":root \{(.*?--.*?)\}", STYLE, re.DOTALL)
    found = [dict(re.findall(r"--(\w+): (#\w{6})\b", block)) for block in (light, dark)]
    assert set(found[0]) == set(found[1]) >= {*READ, "ground", "panel"}
    return found


def luminance(color: str) -> float:
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", themes(), ids=["light", "dark"])
@pytest.mark.parametrize("ground", ["ground", "panel"])
@pytest.mark.parametrize("name", READ)
def test_text_can_be_read(theme, ground, name):
    assert contrast(theme[name], theme[ground]) >= FOR_TEXT


def test_the_measure_itself():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") < FOR_TEXT


def test_every_colour_that_is_used_is_defined_and_nothing_is_loaded():
    assert set(re.findall(r"var\(--(\w+)\)", STYLE)) <= set(re.findall(r"--(\w+):", STYLE))
    assert STYLE.count("{") == STYLE.count("}")
    for text in (STYLE, SCRIPT):
        assert not re.search(r"https?:|url\(|@import|</", text)
