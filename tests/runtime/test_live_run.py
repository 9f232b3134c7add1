"""A clip at a camera's pace through the real pipeline."""

from __future__ import annotations

import pytest

from runtime.backend_synthetic import SyntheticBackend
from runtime.errors import SourceError, UsageError
from runtime.live_run import run_live
from runtime.measured_clip import Clip
from runtime.postprocess import PostprocessOptions
from tests.builders import picture
from tests.fakes.sources import FakeSource

CLIP = Clip("fake", 30.0, lambda: FakeSource([picture()] * 3))


def synthetic(delay_s: float = 0.0) -> SyntheticBackend:
    backend = SyntheticBackend(delay_s)
    backend.open()
    return backend


def test_a_fast_network_answers_every_picture() -> None:
    live = run_live(synthetic(), CLIP, 50.0, 0.4, PostprocessOptions())
    assert live.results + live.dropped == 20 and live.results >= 1
    assert live.age.count == live.results and live.frames_per_second == 50.0


def test_a_slow_network_drops_pictures_and_its_results_are_older() -> None:
    live = run_live(synthetic(delay_s=0.06), CLIP, 100.0, 0.6, PostprocessOptions())
    assert live.results + live.dropped == 60 and live.dropped >= 40
    assert 60.0 <= live.age.p50_ms < 110.0  # the newest is taken: none waits for another's run


def test_pictures_that_a_slow_reader_misses_are_dropped_ones() -> None:
    slow = Clip("slow", 30.0, lambda: FakeSource([picture()] * 99, interval_s=0.05))
    live = run_live(synthetic(), slow, 100.0, 0.5, PostprocessOptions())
    assert live.results + live.dropped == 50 and live.results <= 11
    assert live.age.p50_ms >= 50.0  # reading counts


def test_a_camera_that_shows_nothing_is_an_error() -> None:
    empty = Clip("empty", 30.0, lambda: FakeSource([]))
    with pytest.raises((SourceError, UsageError), match=r"empty holds no picture|got no result"):
        run_live(synthetic(), empty, 50.0, 0.1, PostprocessOptions())
