"""Waits between attempts."""

from __future__ import annotations

import pytest

from runtime.source_state import Backoff, BackoffOptions, SourceState


def test_waits_grow_up_to_a_bound() -> None:
    backoff = Backoff(BackoffOptions(first_s=0.5, factor=2.0, longest_s=3.0), draw=lambda: 0.0)
    assert [backoff.next_wait_s() for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    assert backoff.failures == 5


def test_a_reset_begins_anew() -> None:
    backoff = Backoff(BackoffOptions(first_s=0.5), draw=lambda: 0.0)
    backoff.next_wait_s()
    backoff.next_wait_s()
    backoff.reset()
    assert backoff.next_wait_s() == 0.5


@pytest.mark.parametrize(("drawn", "wait_s"), [(0.0, 1.0), (0.5, 0.9), (1.0, 0.8)])
def test_jitter_shortens_by_a_share(drawn: float, wait_s: float) -> None:
    backoff = Backoff(BackoffOptions(first_s=1.0, jitter=0.2), draw=lambda: drawn)
    assert backoff.next_wait_s() == pytest.approx(wait_s)


def test_two_cameras_do_not_come_back_at_the_same_moment() -> None:
    waits = {Backoff(BackoffOptions()).next_wait_s() for _ in range(20)}
    assert len(waits) > 10


def test_a_million_failures_do_not_overflow() -> None:
    backoff = Backoff(BackoffOptions(longest_s=30.0), draw=lambda: 0.0)
    backoff.failures = 1_000_000
    assert backoff.next_wait_s() == 30.0


def test_states_have_the_names_that_users_see() -> None:
    assert [state.value for state in SourceState] == [
        *("connecting", "live", "stalled", "retrying", "ended")
    ]
