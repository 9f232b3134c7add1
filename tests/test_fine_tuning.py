"""Every command of docs/fine-tuning.md, run in its order on a set of 20 images."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from detectors.shapes import ShapesSpec, write_dataset
from detectors.shapes_clip import ClipSpec, write_clip
from tests.documents import ASSIGNMENT, FENCE, ROOT, SHELL

GUIDE = ROOT / "docs" / "fine-tuning.md"
# What the guide's first step is given in place of its own values.
VALUES = {
    "DATA": "data",
    "VALIDATION": "val",
    "IMAGE": "val/images/000001.jpg",
    "VIDEO": "clip.mp4",
    "OUT": "build/mine",
    "HEIGHT": "96",
    "WIDTH": "128",
    "STEPS": "2",
    "BATCH": "2",
    "EVALUATE_EVERY": "2",
}
# Classes of the set, by the category ids of Shapes: fewer than those of the shipped weights.
CATEGORIES = {1: (3, "round"), 2: (3, "round"), 3: (90, "box"), 4: (90, "box")}
# All blocks together take 45 s of processor time; other programs may leave them little of it.
BLOCK_TIMEOUT_S = 800
FOLDERS = ("plugins", "runtime", "detectors", "export", "calibration")


def shell_blocks() -> list[str]:
    return [
        body for _, language, body in FENCE.findall(GUIDE.read_text("utf-8")) if language in SHELL
    ]


def own_values(block: str) -> str:
    """Return the guide's block of variables with the test's values."""
    lines = [line for line in block.splitlines() if not line.startswith("#")]
    names = [match[1] for line in lines if (match := ASSIGNMENT.fullmatch(line))]
    assert names == list(VALUES)
    assert len(names) == len(lines)
    return "\n".join(f"{name}={VALUES[name]}" for name in names)


def write_set(folder: Path, images: int, seed: int) -> None:
    """Write a small set with two classes whose ids have gaps, and objects of no class left out."""
    write_dataset(folder, ShapesSpec(images, seed))
    path = folder / "annotations.json"
    body = json.loads(path.read_text())
    body["categories"] = [{"id": 90, "name": "box"}, {"id": 3, "name": "round"}]
    kept = [entry for entry in body["annotations"] if entry["category_id"] in CATEGORIES]
    body["annotations"] = [
        entry | {"category_id": CATEGORIES[entry["category_id"]][0]} for entry in kept
    ]
    path.write_text(json.dumps(body))


@pytest.fixture(name="checkout", scope="module")
def checkout_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that looks like a checkout with a user's data in it."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in FOLDERS:
        (folder / name).symlink_to(ROOT / name)
    write_set(folder / "data", 20, seed=1)
    write_set(folder / "val", 4, seed=2)
    write_clip(folder / "clip.mp4", ClipSpec(seed=3, seconds=0.5))
    return folder


def run_block(block: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run one block of the guide in a shell whose python is this one."""
    script = f"set -eu\npython() {{ '{sys.executable}' \"$@\"; }}\n"
    script += f"{own_values(shell_blocks()[0])}\n{block}"
    return subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        # The commands take every core; threads that wait must not keep one from other programs.
        # (OMP_THREAD_LIMIT is no way to limit them: a convolution's backward then never ends.)
        env=os.environ | {"OMP_WAIT_POLICY": "passive", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=BLOCK_TIMEOUT_S,
    )


def files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


# What each step leaves, and what it must say; a step needs those before it.
STEPS = {
    2: ({"trial/cornernet-nano.safetensors"}, "20 images, "),
    3: (
        {"best.safetensors", "cornernet-nano.safetensors", "last.pt"},
        "6 other classes: the last layers of the heatmap heads are new",
    ),
    4: ({"evaluation.json"}, "AP50"),
    5: ({"explain/explain.png", "explain/explain.json"}, "objects missed"),
    6: ({"fp32.onnx", "fp32.onnx.json"}, "AP50"),
    7: ({"int8.onnx", "int8.onnx.json"}, "AP50"),
    8: ({"int8.onnxruntime.onnx"}, ""),
    9: ({"sheet.png", "annotated.mp4", "boxes.jsonl"}, ""),
}


@pytest.mark.slow
@pytest.mark.timeout(BLOCK_TIMEOUT_S + 60)
@pytest.mark.parametrize("step", STEPS)
def test_every_command_of_the_guide_works(step: int, checkout: Path) -> None:
    block = shell_blocks()[step - 1]
    files, words = STEPS[step]
    result = run_block(block, checkout)
    said = result.stdout + result.stderr
    assert result.returncode == 0, f"{block}\n{said[-3000:]}"
    assert words in said
    assert files <= files_in(checkout / VALUES["OUT"])


def test_the_guide_has_its_nine_steps_and_their_blocks() -> None:
    steps = re.findall(r"^## (\d)\. ", GUIDE.read_text("utf-8"), re.MULTILINE)
    assert steps == list("123456789")
    assert len(shell_blocks()) == 9


def test_every_variable_of_the_guide_is_set_in_its_first_block() -> None:
    first, *others = shell_blocks()
    used = set(re.findall(r"\$(\w+)", "".join(others)))
    assert used == set(VALUES)
    assert own_values(first).count("=") == len(VALUES)


def test_a_block_that_fails_is_noticed(checkout: Path) -> None:
    result = run_block("python -c 'raise SystemExit(3)'\npython -c 'print(1)'", checkout)
    assert (result.returncode, result.stdout) == (3, "")
