"""The Makefile's rules, with a stand-in for Python that only writes the files it is asked for."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from detectors.train import build_parser, options_from

ROOT = Path(__file__).resolve().parents[1]
STAND_IN = """#!/bin/sh
# Logs the call, and creates the file after --out (a folder gets annotations.json).
echo "$*" >> calls.log
case "$*" in *export.choose_target*) echo "${CHOSEN_TARGET:-onnxruntime}" ;; esac
case "$*" in *"$FAIL_AT"*) [ -n "$FAIL_AT" ] && exit 2 ;; esac
module=$2
while [ $# -gt 0 ]; do
  if [ "$1" = --out ]; then
    case "$module" in
      detectors.shapes) mkdir -p "$2"; touch "$2/annotations.json" ;;
      *) mkdir -p "$(dirname "$2")"; touch "$2" ;;
    esac
  fi
  shift
done
"""


def clean_environment() -> dict[str, str]:
    """Return the environment less what an outer make, such as `make test`, has put into it."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))
    }


class Sandbox:
    """A copy of the Makefile beside a stand-in for Python."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copy(ROOT / "Makefile", folder)
        for name in ("pyproject.toml", "constraints.txt", "ready"):
            (folder / name).touch()
        (folder / "python").write_text(STAND_IN)
        (folder / "python").chmod(0o755)
        self.add_weights("detectors/weights/cornernet-nano.safetensors")

    def add_weights(self, name: str) -> None:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).touch()
        os.utime(self.folder / name, (1, 1))  # older than anything made here

    def make(self, *words: str, **environment: str) -> list[str]:
        """Run make; returns the modules that were called, in order."""
        (self.folder / "calls.log").unlink(missing_ok=True)
        command = ["make", *words, "PY=./python", "READY=ready"]
        result = subprocess.run(
            command,
            cwd=self.folder,
            env=clean_environment() | {"FAIL_AT": ""} | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        self.status = result.returncode
        log = self.folder / "calls.log"
        calls = log.read_text().splitlines() if log.exists() else []
        self.calls = [call for call in calls if "export.choose_target" not in call]
        return [call.split()[1] for call in self.calls]


@pytest.fixture(name="sandbox")
def sandbox_folder(tmp_path: Path) -> Sandbox:
    return Sandbox(tmp_path)


CHAIN = [
    "export.export_onnx",
    "detectors.shapes",
    "calibration.calibrate",
    "export.build_engine",
]


def test_int8_is_the_default_and_takes_every_step_in_order(sandbox):
    assert sorted(sandbox.make("engine")) == sorted(CHAIN)
    assert sandbox.calls[-1].endswith(
        "--onnx build/cornernet-nano-320x320-int8.onnx "
        "--out build/cornernet-nano-320x320-int8.onnxruntime.onnx --target onnxruntime"
    )
    assert sandbox.status == 0


def test_an_unchanged_step_is_not_repeated(sandbox):
    sandbox.make("engine")
    assert sandbox.make("engine") == []
    assert sandbox.make("engine", "PRECISION=fp32") == ["export.build_engine"]


def test_other_weights_export_again_even_if_they_are_older(sandbox):
    sandbox.make("engine")
    sandbox.add_weights("mine.safetensors")
    again = sandbox.make("engine", "WEIGHTS=mine.safetensors")
    assert again == ["export.export_onnx", "calibration.calibrate", "export.build_engine"]
    assert "--weights mine.safetensors" in sandbox.calls[0]
    assert sandbox.make("engine", "WEIGHTS=mine.safetensors") == []


def test_other_images_calibrate_again_but_do_not_export(sandbox):
    sandbox.make("engine")
    again = sandbox.make("engine", "CALIB=photos")
    assert again == ["calibration.calibrate", "export.build_engine"]
    assert "--images photos" in sandbox.calls[0]


def test_a_new_image_in_the_folder_calibrates_again(sandbox):
    (sandbox.folder / "photos").mkdir()
    (sandbox.folder / "photos" / "a.jpg").touch()
    sandbox.make("engine", "CALIB=photos")
    assert sandbox.make("engine", "CALIB=photos") == []
    (sandbox.folder / "photos" / "b.jpg").touch()
    again = sandbox.make("engine", "CALIB=photos")
    assert again == ["calibration.calibrate", "export.build_engine"]


def test_fine_tuning_for_int8_takes_every_step_with_one_plan(sandbox):
    (sandbox.folder / "data").mkdir()
    (sandbox.folder / "data" / "annotations.json").touch()
    steps = sandbox.make("qat", "QAT_DATA=data", "QAT=--steps 7")
    assert steps[-5:] == [
        *("calibration.calibrate", "calibration.quantization_plan", "detectors.train"),
        *("export.export_onnx", "calibration.quantize_by_plan"),
    ]
    plan = "build/cornernet-nano-320x320-qat.plan.json"
    calibrate, planned, train, export, last = sandbox.calls[-5:]
    assert "--effort fast" in calibrate and planned.endswith(plan)
    assert f"--qat {plan} --init detectors/weights/cornernet-nano.safetensors" in train
    assert "--size 320 320 --data data" in train and train.endswith("--steps 7")
    assert "--weights build/cornernet-nano-320x320-qat/cornernet-nano.safetensors" in export
    assert f"--plan {plan}" in last and last.endswith("-qat-int8.onnx")


def test_rtx_calibrates_on_a_half_precision_base_with_one_scale_per_weight_tensor(sandbox):
    sandbox.make("engine", CHOSEN_TARGET="tensorrt-rtx")
    calibrate, build = sandbox.calls[-2:]
    wish = "--target tensorrt-rtx --base fp16 --weights per-tensor --weight-method mse"
    assert wish in calibrate
    assert "--out build/cornernet-nano-320x320-int8-rtx.onnx" in calibrate
    assert build.endswith("int8.tensorrt-rtx.engine --target tensorrt-rtx")


def test_other_calibration_options_calibrate_again(sandbox):
    sandbox.make("engine")
    again = sandbox.make("engine", "CALIB_OPTIONS=--method entropy --seed 1")
    assert again == ["calibration.calibrate", "export.build_engine"]
    assert sandbox.calls[0].endswith("--method entropy --seed 1")
    assert sandbox.make("engine", "CALIB_OPTIONS=--method entropy --seed 1") == []


def test_another_effort_calibrates_again(sandbox):
    sandbox.make("engine")
    assert "--effort good" in sandbox.calls[-2]
    assert sandbox.make("engine", "EFFORT=best") == ["calibration.calibrate", "export.build_engine"]
    assert "--effort best" in sandbox.calls[0]
    assert sandbox.make("engine", "EFFORT=best") == []


def test_the_full_tensorrt_takes_the_ranges_that_were_observed_already(sandbox):
    sandbox.make("engine")
    calls = [call for call in sandbox.calls if "calibration.calibrate" in call]
    sandbox.make("engine", CHOSEN_TARGET="tensorrt")
    calls += [call for call in sandbox.calls if "calibration.calibrate" in call]
    assert len(calls) == 2
    assert all("--cache build/cornernet-nano-320x320-int8.ranges.npz" in call for call in calls)


def test_rtx_has_ranges_of_its_own_since_its_weights_may_be_equalized(sandbox):
    sandbox.make("engine", CHOSEN_TARGET="tensorrt-rtx")
    assert "--cache build/cornernet-nano-320x320-int8-rtx.ranges.npz" in sandbox.calls[-2]


def test_a_budget_of_accuracy_reaches_the_calibration_and_calibrates_again(sandbox):
    sandbox.make("engine")
    again = sandbox.make("engine", "MAX_AP_DROP=0.5")
    assert again == ["detectors.shapes", "calibration.calibrate", "export.build_engine"]
    assert sandbox.calls[1].endswith("--max-ap-drop 0.5 --gate-data build/shapes/val")
    assert sandbox.make("engine", "MAX_AP_DROP=0.5") == []
    once_more = sandbox.make("engine", "MAX_AP_DROP=0.2", "VAL=mine")
    assert once_more == ["calibration.calibrate", "export.build_engine"]
    assert sandbox.calls[0].endswith("--max-ap-drop 0.2 --gate-data mine")


def test_a_report_makes_what_it_compares_and_takes_what_is_there(sandbox):
    called = sandbox.make("report")
    assert called[-1] == "calibration.report" and called.count("export.export_onnx") == 2
    assert called.count("export.build_engine") == 2 and called.count("detectors.shapes") == 2
    stem = "build/cornernet-nano-320x320"
    assert (
        f"--fp32 {stem}-fp32.onnxruntime.onnx --int8 {stem}-int8.onnxruntime.onnx "
        f"--fp16 {stem}-fp16.onnx --onnx {stem}-fp32.onnx --data build/shapes/val "
        f"--out {stem}.report.html"
    ) in sandbox.calls[-1]
    assert "--ranges" not in sandbox.calls[-1] and "--sensitivity" not in sandbox.calls[-1]
    (sandbox.folder / f"{stem}-int8.ranges.npz").touch()
    (sandbox.folder / f"{stem}.sensitivity.json").touch()
    assert sandbox.make("report", "VAL=mine", "REPORT=--worst 3") == ["calibration.report"]
    assert "--data mine" in sandbox.calls[-1]
    assert sandbox.calls[-1].endswith(
        f"--ranges {stem}-int8.ranges.npz --sensitivity {stem}.sensitivity.json --worst 3"
    )


def test_a_sensitivity_of_older_weights_stays_out_of_the_report(sandbox):
    sandbox.make("report")
    old = sandbox.folder / "build" / "cornernet-nano-320x320.sensitivity.json"
    old.touch()
    os.utime(old, (1, 1))
    sandbox.make("report")
    assert "--sensitivity" not in sandbox.calls[-1]


def test_sensitivity_is_quick_and_takes_options(sandbox):
    called = sandbox.make("sensitivity")
    assert sorted(called) == ["calibration.sensitivity", "detectors.shapes", "export.export_onnx"]
    assert "--out build/cornernet-nano-320x320.sensitivity.json" in sandbox.calls[-1]
    assert "--data" not in sandbox.calls[-1]
    sandbox.make("sensitivity", "SENSITIVITY=--metric ap --limit 9")
    assert sandbox.calls[-1].endswith("--data build/shapes/val --metric ap --limit 9")


def test_options_of_tensorrt_rtx_reach_the_builder_and_build_again(sandbox):
    options = ("TARGET=tensorrt-rtx", "PRECISION=fp16")
    sandbox.make("engine", *options, CHOSEN_TARGET="tensorrt-rtx")
    assert sandbox.make("engine", *options, CHOSEN_TARGET="tensorrt-rtx") == []
    more = ("TARGET_SM=86,120", "MAX_BATCH=4", "WORKSPACE=512", "OPT_LEVEL=2", "WITH_PLUGINS=no")
    again = sandbox.make("engine", *options, *more, CHOSEN_TARGET="tensorrt-rtx")
    assert again == ["export.build_engine"]
    assert sandbox.calls[0].endswith(
        "--target tensorrt-rtx --batch 1 4 4 --workspace 512 --opt-level 2 --plugins no "
        "--target-sm 86,120"
    )


def test_options_of_the_full_tensorrt(sandbox):
    more = ("VERSION_COMPATIBLE=1", "HARDWARE_COMPATIBILITY=ampere-plus")
    called = sandbox.make("engine", *more, CHOSEN_TARGET="tensorrt")
    assert sorted(called) == sorted(CHAIN)
    calibrate, build = sandbox.calls[-2:]
    assert "--target tensorrt --base fp16" in calibrate and "--weights" not in calibrate
    assert build.endswith(
        "int8.tensorrt.engine --target tensorrt --timing-cache build/tensorrt.timing-cache "
        "--version-compatible --hardware-compatibility ampere-plus"
    )


def test_a_new_plugin_library_builds_engines_again(sandbox):
    library = sandbox.folder / "build" / "plugins" / "libcornerrt_plugins.so"
    sandbox.make("engine", CHOSEN_TARGET="tensorrt-rtx")
    library.parent.mkdir(parents=True)
    library.touch()
    assert sandbox.make("engine", CHOSEN_TARGET="tensorrt-rtx") == ["export.build_engine"]
    assert sandbox.make("engine", CHOSEN_TARGET="tensorrt-rtx") == []


def test_published_models_get_their_own_size(sandbox):
    sandbox.make("engine", "MODEL=cornernet-squeeze", "WEIGHTS=s.pkl", "PRECISION=fp32")
    assert sandbox.status != 0  # no such file
    sandbox.add_weights("s.pkl")
    sandbox.make("engine", "MODEL=cornernet-squeeze", "WEIGHTS=s.pkl", "PRECISION=fp32")
    assert "--model cornernet-squeeze --size 511 511 --weights s.pkl" in sandbox.calls[0]


def test_evaluation_builds_the_engine_and_writes_its_figures(sandbox):
    called = sandbox.make("evaluate", "PRECISION=fp32")
    assert called[-2:] == ["export.build_engine", "detectors.evaluate"]
    assert "detectors.shapes" in called
    call = sandbox.calls[-1]
    assert "--data build/shapes/val --artifact build/cornernet-nano-320x320-fp32." in call
    assert call.endswith("--json build/cornernet-nano-320x320-fp32.evaluation.json")


def test_evaluation_takes_other_images_and_options(sandbox):
    called = sandbox.make("evaluate", "PRECISION=fp32", "VAL=my/val", "EVALUATE=--flip --per-class")
    assert "detectors.shapes" not in called
    assert "--data my/val " in sandbox.calls[-1]
    assert sandbox.calls[-1].endswith(".evaluation.json --flip --per-class")


def test_a_profile_builds_the_engine_and_the_demos_clip_and_writes_its_figures(sandbox):
    called = sandbox.make("profile", "PRECISION=fp32")
    assert called[0] == "detectors.shapes" and "--clip build/demo/clip.mp4" in sandbox.calls[0]
    assert called[-2] == "export.build_engine"
    stem = "build/cornernet-nano-320x320-fp32"
    assert sandbox.calls[-1] == (
        f"runtime/measure.py {stem}.onnxruntime.onnx --layers "
        f"--json {stem}.profile.json --html {stem}.profile.html"
    )


def test_a_profile_takes_another_clip_and_options(sandbox):
    called = sandbox.make("profile", "PRECISION=fp32", "PROFILE=--frames my.mp4 --soak 10")
    assert "detectors.shapes" not in called
    assert sandbox.calls[-1].endswith(".profile.html --frames my.mp4 --soak 10")


def test_a_roofline_counts_the_model_and_needs_no_engine(sandbox):
    assert sandbox.make("roofline", "MODEL=cornernet-squeeze", "DEVICE=h200") == ["export.roofline"]
    assert sandbox.calls[0] == (
        "-m export.roofline --model cornernet-squeeze --size 511 511 --precision int8 "
        "--graphs build/roofline --device h200"
    )


def test_a_roofline_takes_a_file_and_options(sandbox):
    sandbox.make("roofline", "ONNX=my.onnx", "ROOFLINE=--top 0 --json r.json")
    assert sandbox.calls[0] == (
        "-m export.roofline --onnx my.onnx --device orin-nano --top 0 --json r.json"
    )


def test_a_failing_step_stops_the_chain(sandbox):
    called = sandbox.make("engine", FAIL_AT="calibration.calibrate")
    assert sandbox.status != 0 and "export.build_engine" not in called


def test_the_shipped_weights_are_trained_in_runs_that_each_begin_with_the_one_before(sandbox):
    modules = sandbox.make("train")
    runs = [call for call in sandbox.calls if "detectors.train " in call]
    assert sandbox.status == 0 and modules.count("detectors.train") == len(runs) > 1
    parser = build_parser()
    options = [options_from(parser.parse_args(run.split()[2:])) for run in runs]
    assert all(option.vertical_flip and option.batch == 8 for option in options)
    for before, after in pairwise(runs):
        out = before.split("--out ")[1].split()[0]
        assert f"--init {out}/cornernet-nano.safetensors" in after


def test_images_of_ones_own_are_trained_on_and_a_stopped_run_goes_on(sandbox):
    own = ("train", "DATA=mine", "MODEL=cornernet-squeeze", "TRAIN=--recipe published")
    assert sandbox.make(*own) == ["detectors.train"]
    assert sandbox.calls[0].endswith(
        "--model cornernet-squeeze --data mine --out build/train-cornernet-squeeze-own "
        "--recipe published"
    )
    folder = sandbox.folder / "build" / "train-cornernet-squeeze-own"
    folder.unlink()  # the stand-in makes a file of it
    folder.mkdir()
    (folder / "last.pt").touch()
    sandbox.make(*own, "RESUME=1")
    assert sandbox.calls[0].endswith("--recipe published --resume")


def test_help_lists_every_public_target_with_one_line():
    listed = subprocess.run(
        ["make", "help"],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    names = {line.split()[1] for line in listed}
    assert all(len(line.split()) > 3 for line in listed)
    phony = set(re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE))
    inner = {"FORCE", "engine-for", "verify-for"}
    declared = {name for line in phony for name in line.split()} - inner
    assert names == declared
