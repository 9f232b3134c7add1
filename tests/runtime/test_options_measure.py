"""The command line of ``measure.py``: defaults, and what makes no sense."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.errors import UsageError
from runtime.measure_rounds import RoundSettings
from runtime.options_measure import parse_options


def test_defaults_measure_everything_but_layers_and_a_soak() -> None:
    options = parse_options(["a.onnx"])
    assert options.model.artifact == [Path("a.onnx")]
    assert options.frames.round_settings == RoundSettings(500, 30.0, 10)
    parts = options.parts
    assert (parts.batches, parts.live_seconds, parts.cold_start) == ([1, 2, 4, 8], 10.0, True)
    assert not (parts.layers or parts.power_modes or parts.nvtx) and parts.soak is None
    assert parts.device_root == Path("/") and options.results.json is None


def test_every_option_is_read(tmp_path: Path) -> None:
    words = f"""a.onnx b.onnx --backend onnxruntime --threads 2 --score 0.5 --frames c.mp4 --once
        --warmup 0 --count 9 --seconds 1.5 --rounds 7 --batches 1 0 --live-seconds 0
        --camera-rate 15 --no-cold-start --layers --soak 0.5 --device-root {tmp_path}
        --power-modes --yes --nvtx --json {tmp_path}/a.json --html {tmp_path}/a.html
        --trace {tmp_path}/t.json --fail-if p99>+5% --fail-if network.p50>20ms"""
    options = parse_options(words.split())
    assert options.model.artifact == [Path("a.onnx"), Path("b.onnx")]
    assert (options.model.backend, options.model.threads, options.model.score) == (
        "onnxruntime",
        2,
        0.5,
    )
    frames = options.frames
    assert (frames.frames, frames.once, frames.warmup) == ("c.mp4", True, 0)
    assert frames.round_settings == RoundSettings(9, 1.5, 7)
    parts = options.parts
    assert (parts.batches, parts.camera_rate, parts.soak) == ([1, 0], 15.0, 0.5)
    assert parts.power_modes and parts.yes and parts.nvtx and parts.layers and not parts.cold_start
    assert [budget.label for budget in options.results.fail_if] == ["p99", "network p50"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "arguments are required: ARTIFACT"),
        ("a a", "got a twice; expected each artifact once"),
        ("a --count 0", "--count: got '0'; expected a whole number from 1"),
        ("a --rounds 0", "--rounds: got '0'"),
        ("a --seconds 0", "--seconds: got '0'; expected a number from 0.001"),
        ("a --warmup -1", "--warmup: "),
        ("a --camera-rate 0", "--camera-rate: got '0'; expected a number from 0.1 to 1000"),
        ("a --soak nan", "--soak: got 'nan'"),
        ("a --device-root nowhere", "--device-root: got 'nowhere'; expected a folder"),
        ("a --fail-if p99", "--fail-if: got 'p99'"),
        ("a --fail-if p99>+5%", "got one artifact and no baseline"),
        ("a b --fail-if p99>+5% --rounds 3", "got 3 rounds; expected at least 7"),
        ("a b --fail-if p99>+5% --count 3", "got 3 rounds; expected at least 7"),
        ("a --power-modes --baseline b.json", "an earlier measurement tells of one mode"),
        ("a --backend gpu", "--backend: invalid choice: 'gpu'"),
        ("a --batches 257", "--batches: got '257'; expected a whole number from 0 to 256"),
    ],
)
def test_what_makes_no_sense_is_one_line(words: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_options(words.split())
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("option", "name", "message"),
    [
        ("--json", "a.txt", r"--json got .*a\.txt; expected a name that ends in \.json"),
        ("--html", "a.json", r"ends in \.html"),
        ("--trace", "a.html", r"ends in \.json"),
    ],
)
def test_an_output_of_another_kind_is_refused_before_the_work(
    tmp_path: Path, option: str, name: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        parse_options(["a.onnx", option, str(tmp_path / name)])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--json {0}/a.json --trace {0}/a.json", "--trace got .*, the file of --json; expected an"),
        ("--json {0}/a.json --trace {0}/x/../a.json", "the file of --json"),
        ("--baseline {0}/a.json --json {0}/a.json", "--json got .*, the file of --baseline"),
    ],
)
def test_no_file_is_used_twice(tmp_path: Path, words: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_options(["a", *words.format(tmp_path).split()])
