"""What is computed of a measurement's own fields."""

from __future__ import annotations

from runtime.measurement import ColdStart


def test_a_cold_start_is_the_sum_of_its_parts() -> None:
    assert ColdStart(imports_ms=300.0, open_ms=80.5, first_frame_ms=20.0).total_ms == 400.5
