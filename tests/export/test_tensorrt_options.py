"""Options of a TensorRT build: their values, their order, and what each target understands."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.build_engine import _options, build_parser
from export.tensorrt_options import (
    PluginUse,
    SizeRange,
    TensorRTOptions,
    arguments_of,
    capabilities_of,
    check_options,
)
from runtime.errors import UsageError

ALL = TensorRTOptions(
    batch=SizeRange(1, 2, 4),
    height=SizeRange(64, 128, 256),
    width=SizeRange(64, 64, 512),
    timing_cache=Path("build/timings"),
    version_compatible=True,
    hardware_compatibility="ampere-plus",
    optimization_level=3,
    workspace_mib=512,
    plugins=PluginUse.NO,
)


@pytest.mark.parametrize("sizes", [(0, 1, 1), (2, 1, 4), (1, 5, 4), (4, 4, 1)])
def test_sizes_out_of_order(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(UsageError, match="expected three whole numbers from 1 in rising order"):
        SizeRange(*sizes)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("86", ("8.6",)),
        ("86,89,120", ("8.6", "8.9", "12.0")),
        ("120, 86,120", ("12.0", "8.6")),
    ],
)
def test_gpus_by_their_numbers(text: str, names: tuple[str, ...]) -> None:
    assert capabilities_of(text) == names


@pytest.mark.parametrize("text", ["", "90", "8.6", "sm_86", "86,", "86;89", "86 89"])
def test_gpus_that_nobody_builds_for(text: str) -> None:
    with pytest.raises(UsageError, match=r"--target-sm got .*expected some of 75, 80, 86"):
        capabilities_of(text)


@pytest.mark.parametrize(
    ("options", "target", "message"),
    [
        (TensorRTOptions(("8.6",)), "tensorrt", "--target-sm .* use it with tensorrt-rtx"),
        (TensorRTOptions(("8.6",)), "onnxruntime", "--target-sm means nothing to .*onnxruntime"),
        (TensorRTOptions(timing_cache=Path("x")), "tensorrt-rtx", "--timing-cache .*with tensorrt"),
        (TensorRTOptions(version_compatible=True), "tensorrt-rtx", "--version-compatible"),
        (
            TensorRTOptions(hardware_compatibility="ampere-plus"),
            "tensorrt-rtx",
            "--hardware-compatibility",
        ),
    ],
)
def test_options_for_another_target(options: TensorRTOptions, target: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_options(options, target)


@pytest.mark.parametrize("target", ["tensorrt", "tensorrt-rtx", "onnxruntime"])
def test_no_options_fit_every_target(target: str) -> None:
    check_options(TensorRTOptions(), target)


def test_all_options_fit_the_full_tensorrt() -> None:
    check_options(ALL, "tensorrt")


@pytest.mark.parametrize("options", [TensorRTOptions(), ALL])
def test_the_words_of_a_command_mean_the_same_options(options: TensorRTOptions) -> None:
    words = ["--onnx", "a", "--out", "b", *arguments_of(options)]
    assert _options(build_parser().parse_args(words)) == options
    assert arguments_of(TensorRTOptions()) == ()
