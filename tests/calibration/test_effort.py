"""The three efforts, from images on disk to a quantizable model."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration import effort as effort_module
from calibration.effort import Effort, improve, prepare
from calibration.quantize_rules import EVERYWHERE
from runtime.image_batches import ImageBatches, find_images
from tests.calibration.tiny_network import SIZE, make_tiny_network
from tests.calibration.tiny_source import FRAMES, heat_error, make_source, run_tensor


@pytest.fixture
def images(tmp_path: Path) -> ImageBatches:
    for number, frame in enumerate(FRAMES):
        cv2.imwrite(str(tmp_path / f"{number}.png"), frame[0])
    return find_images(str(tmp_path), (SIZE, SIZE), len(FRAMES))


def test_fast_changes_nothing_and_does_not_need_torch(images: ImageBatches) -> None:
    source = make_source()

    assert prepare(source.model, images, Effort.FAST) is source.model
    assert improve(source, EVERYWHERE, images, Effort.FAST) is source
    code = "import calibration.effort, sys; sys.exit('torch' in sys.modules)"
    root = Path(effort_module.__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


@pytest.mark.parametrize("effort", [Effort.GOOD, Effort.BEST])
def test_prepared_models_compute_the_same(images: ImageBatches, effort: Effort) -> None:
    prepared = prepare(make_tiny_network(), images, effort)

    assert prepared.SerializeToString() != make_tiny_network().SerializeToString()
    np.testing.assert_allclose(
        run_tensor(prepared, "heat"), run_tensor(make_tiny_network(), "heat"), atol=1e-4
    )


@pytest.mark.slow
def test_more_effort_loses_less(images: ImageBatches) -> None:
    errors = []
    for effort in Effort:
        prepared = prepare(make_tiny_network(), images, effort)
        errors.append(heat_error(improve(make_source(prepared), EVERYWHERE, images, effort)))

    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.7 * errors[0]


def test_images_are_spread_over_the_list(
    images: ImageBatches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(effort_module, "EQUALIZED_ON", 3)
    seen: list[ImageBatches] = []
    monkeypatch.setattr(effort_module, "equalize", lambda m, chosen, step: seen.append(chosen))

    prepare(make_tiny_network(), images, Effort.GOOD)

    assert seen[0].paths == (images.paths[0], images.paths[4], images.paths[7])
