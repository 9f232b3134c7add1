"""How a finding reads."""

from __future__ import annotations

from runtime.findings import Ability, missing, note, ok


def test_a_finding_is_a_line_and_its_remedy_another() -> None:
    assert ok("Python 3.12").lines() == ["  ok       Python 3.12"]
    assert note("slow").lines() == ["  note     slow"]
    assert missing("no x", "RTSP", "sudo apt install x").lines() == [
        "  missing  no x (for RTSP)",
        "           -> sudo apt install x",
    ]


def test_only_what_is_there_gives_an_ability() -> None:
    assert ok("OpenCV", Ability.PICTURES).ability is Ability.PICTURES
    assert ok("x").ability is missing("x", "y", "z").ability is note("x").ability is None
