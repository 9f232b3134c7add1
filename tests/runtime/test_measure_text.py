"""The report for a terminal: what is there, what is left out, and that its lines add up."""

from __future__ import annotations

import re
from dataclasses import replace

from runtime.latency import histogram_of
from runtime.measure_text import BAR_WIDTH, measurement_text, run_lines
from runtime.measurement import Memory
from runtime.terminal_lines import WIDTH
from tests.measurements import (
    comparison,
    device,
    journey,
    layer_profile,
    least_run,
    live,
    measurement,
    run,
)


def text_of(*lines_of: object) -> str:
    return "\n".join(run_lines(*lines_of))  # type: ignore[arg-type]


def test_each_stage_has_its_percentiles_and_share() -> None:
    lines = list(run_lines(run()))
    assert lines[0] == (
        "build/nano-320x320-int8.onnxruntime.onnx: cornernet-nano 320x320 int8 on onnxruntime"
    )
    head = next(line for line in lines if line.startswith("200 frames, ms"))
    assert head.split()[3:] == ["mean", "p50", "p90", "p95", "p99", "max", "share"]
    network = next(line for line in lines if line.startswith("network "))
    latency = run().journey.stages[2].latency
    assert f"{latency.p99_ms:.2f}" in network and f"{latency.max_ms:.2f}" in network
    rows = lines[lines.index(head) + 1 :][:8]
    shares = [float(share) for share in re.findall(r"(\d+\.\d)%$", "\n".join(rows), re.M)]
    assert 98 < sum(shares) < 102


def test_warmup_is_shown_and_not_hidden() -> None:
    assert "warm-up, not counted: 5 frames, the first 48.00 ms, the slowest 48.00 ms, the last" in (
        text_of(run())
    )


def test_the_histogram_shows_a_single_slow_frame() -> None:
    slow = replace(journey(), histogram=histogram_of([10.0] * 1000 + [200.0]))
    lines = text_of(run(journey=slow)).splitlines()
    bars = [line for line in lines if line.endswith("#")]
    assert bars[0].count("#") == BAR_WIDTH and bars[-1].count("#") == 1
    between = lines[lines.index(bars[0]) + 1 : lines.index(bars[-1])]
    assert between == ["  ..."]  # and not 50 lines of nothing


def test_the_way_to_a_live_result_comes_before_all_other_figures() -> None:
    lines = list(run_lines(run()))
    assert lines[1] == "from the bare network to a live result, mean ms"
    assert lines.index("") < 24


def test_no_line_is_wider_than_a_terminal() -> None:
    long = run("a/" * 60 + "model.onnx")
    made = replace(measurement(long, run("b")), comparisons=(comparison("b", long.artifact, 0.6),))
    for line in measurement_text(made).splitlines():
        assert len(line) <= WIDTH or long.artifact in line, line  # a path stays whole


def test_few_frames_are_said_to_make_no_p99() -> None:
    assert "p99 says little more than max" in text_of(run(frames=99))
    assert "p99 says little" not in text_of(run(frames=100))


def test_throughput_live_cold_start_and_memory_have_their_lines() -> None:
    text = text_of(run(live=live(dropped=10)))
    assert re.search(r"^1 +\d+\.\d +\d+\.\d\d", text, re.M)
    assert "live at 30 pictures per second: 290 results, 10 dropped" in text
    assert "cold start 744 ms: imports 310, opening 420, first frame 14" in text
    assert "host memory: 90 MiB before, 40 MiB by opening, 142 MiB at most" in text
    assert "GPU memory" not in text


def test_memory_of_a_gpu_is_told_where_there_is_one() -> None:
    memory = Memory(2**20, 2**21, 2**22, 100 * 2**20, 120 * 2**20)
    assert "\nGPU memory: 100 MiB by opening, 120 MiB running" in text_of(run(memory=memory))


def test_a_device_tells_power_heat_throttling_and_what_is_missing() -> None:
    text = text_of(run())
    assert "Jetson Orin Nano (sysfs), power mode 15W" in text
    assert "  power, mean: VDD_IN 9800, VDD_CPU_GPU_CV 3200, VDD_SOC 1900 mW" in text
    assert "  energy: 122.5 mJ per frame, idle included" in text
    assert "  throttled: gpu-throttle-alert" in text
    assert "  not read: power rail CV0" in text
    assert re.search(r"p99 of the first part \d+\.\d\d ms, of the last", text)


def test_a_device_that_tells_nothing_takes_two_lines() -> None:
    silent = device(
        power_mode="",
        power_mw={},
        temperatures_c={},
        clocks_mhz={},
        energy_mj_per_frame=None,
        throttled=(),
        windows=(),
    )
    text = text_of(least_run(device=silent))
    assert text.splitlines()[-2:] == [
        "Jetson Orin Nano (sysfs)",
        f"  not read: {silent.missing[0]}",
    ]


def test_layers_come_last_with_decoding_beside_the_network() -> None:
    text = text_of(run())
    assert "30 layers, onnxruntime 1.31.1, medians of 20 runs" in text
    # Below the bare network, a share of its median.
    assert re.search(r"^bare network .*\n  of it decode, by layers {13,}1\.20$", text, re.M)
    assert re.search(r"^ +ms  share layers  type\n +\d.* 20  int8$", text, re.M)


def test_notes_on_the_profile_are_told() -> None:
    layers = replace(layer_profile(), notes=("loops are estimates",))
    assert "note: loops are estimates" in text_of(run(layers=layers))


def test_what_was_not_measured_is_left_out() -> None:
    text = text_of(least_run())
    for word in (
        "live at",
        "cold start",
        "memory",
        "layers, ",
        "batch",
        "of it decode",
        "warm-up",
    ):
        assert word not in text


def test_comparisons_are_last_with_their_intervals() -> None:
    made = measurement(run("a"), run("b"))
    made = replace(
        made,
        comparisons=(
            comparison("b", "a", 0.6),
            comparison("b", "a", 1.1, figure="p99", low=None, high=None, verdict="no verdict: 3"),
        ),
    )
    lines = measurement_text(made).splitlines()
    assert lines[-3] == "b against a, ratio of times with its 95 % interval"
    assert lines[-2].split(maxsplit=1) == ["p50", "0.600 (0.570 to 0.630)  faster"]
    assert lines[-1].split(maxsplit=1) == ["p99", "1.100  no verdict: 3"]
