"""Energy between moments and by frame, with figures that can be checked by head."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from runtime.device_samples import DeviceSample
from runtime.energy import EnergyMeter
from runtime.spans import FrameSpans
from tests.fakes.device_monitor import frame_at, frames_of, sample_at

SECOND = 1_000_000_000


def energy_mj(
    samples: Sequence[DeviceSample], rail: str | None, started_ns: int, ended_ns: int
) -> float | None:
    return EnergyMeter(samples, rail).between_mj(started_ns, ended_ns)


def energy_per_frame_mj(
    samples: Sequence[DeviceSample], rail: str | None, frames: Sequence[FrameSpans]
) -> float | None:
    return EnergyMeter(samples, rail).per_frame_mj(frames)


def test_constant_power_is_power_times_time() -> None:
    samples = [sample_at(t / 10, 5000) for t in range(31)]
    assert energy_mj(samples, "VDD_IN", 0, 3 * SECOND) == pytest.approx(15_000)
    assert energy_mj(samples, "VDD_IN", SECOND // 4, SECOND) == pytest.approx(3750)


def test_a_ramp_is_integrated_by_trapezoids_with_its_ends_between_samples() -> None:
    samples = [sample_at(t, 1000 * t) for t in range(5)]  # 0 to 4 W in 4 s
    assert energy_mj(samples, "VDD_IN", 0, 4 * SECOND) == pytest.approx(8000)
    # from 0.5 s at 500 mW to 2.5 s at 2500 mW: 1500 mW on average
    assert energy_mj(samples, "VDD_IN", SECOND // 2, 5 * SECOND // 2) == pytest.approx(3000)


def test_uneven_samples_weigh_by_their_time() -> None:
    samples = [sample_at(0, 1000), sample_at(1, 1000), sample_at(1.001, 9000), sample_at(2, 9000)]
    assert energy_mj(samples, "VDD_IN", 0, 2 * SECOND) == pytest.approx(9996, abs=0.5)


def test_a_counter_of_the_device_goes_before_its_power() -> None:
    samples = [sample_at(t, 5000, energy_mj=100.0 + 7000 * t) for t in range(4)]
    assert energy_mj(samples, "VDD_IN", SECOND, 2 * SECOND) == pytest.approx(7000)
    assert energy_mj(samples, None, SECOND // 2, SECOND) == pytest.approx(3500)


def test_a_counter_that_starts_again_is_not_believed() -> None:
    counts = (900.0, 950.0, 3.0, 40.0)
    samples = [sample_at(t, 5000, energy_mj=count) for t, count in enumerate(counts)]
    assert energy_mj(samples, "VDD_IN", 0, 3 * SECOND) == pytest.approx(15_000)


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (1, 5), (-2, -1), (5, 6)])
def test_a_time_that_no_samples_surround_has_no_energy(start: int, end: int) -> None:
    samples = [sample_at(t, 5000) for t in range(4)]
    assert energy_mj(samples, "VDD_IN", start * SECOND, end * SECOND) is None


def test_a_hole_in_the_samples_is_no_energy_but_beside_it_there_is() -> None:
    times = [t / 10 for t in range(20)] + [5 + t / 10 for t in range(20)]
    samples = [sample_at(t, 5000) for t in times]
    assert energy_mj(samples, "VDD_IN", SECOND, 6 * SECOND) is None
    assert energy_mj(samples, "VDD_IN", SECOND // 2, SECOND) == pytest.approx(2500)
    assert energy_mj(samples, "VDD_IN", 5 * SECOND, 6 * SECOND) == pytest.approx(5000)


def test_samples_that_repeat_a_time_change_nothing() -> None:
    samples = [sample_at(t // 3, 5000) for t in range(12)]
    assert energy_mj(samples, "VDD_IN", 0, 3 * SECOND) == pytest.approx(15_000)


def test_without_a_total_or_samples_there_is_no_energy() -> None:
    samples = [sample_at(t, 5000) for t in range(4)]
    assert energy_mj(samples, None, 0, SECOND) is None
    assert energy_mj(samples, "VIN", 0, SECOND) is None
    assert energy_mj([], "VDD_IN", 0, SECOND) is None
    assert energy_mj(samples[:1], "VDD_IN", 0, SECOND) is None


def test_energy_per_frame_leaves_out_breaks_for_other_work() -> None:
    samples = [sample_at(t / 10, 10_000) for t in range(101)]
    first, second = frames_of(10, 100, 1.0), frames_of(10, 100, 6.0)  # a second each
    assert energy_per_frame_mj(samples, "VDD_IN", [*first, *second]) == pytest.approx(1000)


def test_turns_that_are_too_short_for_the_samples_have_no_energy() -> None:
    samples = [sample_at(t / 10, 10_000) for t in range(101)]
    turns = [frame for turn in range(8) for frame in frames_of(2, 100, turn + 0.05)]
    assert energy_per_frame_mj(samples, "VDD_IN", turns) is None  # two samples each
    assert EnergyMeter(samples, "VDD_IN").fault_of(turns) == (
        "energy per frame: 16 samples in 8 turns of the run; expected 3 in each; take --soak 1, "
        "or fewer --rounds"
    )
    longer = [frame for turn in range(8) for frame in frames_of(3, 100, turn + 0.05)]
    assert energy_per_frame_mj(samples, "VDD_IN", longer) == pytest.approx(1000)
    assert EnergyMeter(samples, "VDD_IN").fault_of(longer) == ""


def test_energy_per_frame_holds_the_short_breaks_between_frames() -> None:
    samples = [sample_at(t / 10, 10_000) for t in range(21)]
    frames = [frame_at(i * 0.1, i * 0.1 + 0.08) for i in range(10)]  # 20 ms of pause after each
    assert energy_per_frame_mj(samples, "VDD_IN", frames) == pytest.approx(980)


def test_short_runs_of_the_bare_network_between_turns_are_not_the_frames() -> None:
    samples = [sample_at(t / 1000, 10_000) for t in range(201)]
    turns = [frame for turn in range(2) for frame in frames_of(40, 1, 0.01 + 0.08 * turn)]
    assert energy_per_frame_mj(samples, "VDD_IN", turns) == pytest.approx(10)  # 1 ms at 10 W


def test_other_work_as_long_as_most_of_a_frame_is_not_the_frames() -> None:
    samples = [sample_at(t / 1000, 10_000) for t in range(201)]
    frames = [frame_at(0.01 + 0.018 * i, 0.02 + 0.018 * i, i) for i in range(10)]  # 8 ms between
    assert energy_per_frame_mj(samples, "VDD_IN", frames) == pytest.approx(100)


def test_a_long_run_with_a_hiccup_is_one_turn() -> None:
    samples = [sample_at(t / 10, 10_000) for t in range(41)]
    frames = [*frames_of(1000, 1, 0.5), *frames_of(1000, 1, 1.51)]  # 10 ms between the halves
    assert EnergyMeter(samples, "VDD_IN").fault_of(frames) == ""
    assert energy_per_frame_mj(samples, "VDD_IN", frames) == pytest.approx(20_100 / 2000)


def test_a_run_that_is_not_covered_to_its_end_has_no_energy_per_frame() -> None:
    samples = [sample_at(t / 10, 10_000) for t in range(11)]
    assert energy_per_frame_mj(samples, "VDD_IN", frames_of(20, 100)) is None
