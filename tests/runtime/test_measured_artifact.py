"""An artifact that is opened, warmed up and closed with all that belongs to it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from runtime.errors import ArtifactError, SourceError
from runtime.measured_artifact import MeasuredArtifact
from runtime.measured_clip import Clip
from runtime.options_measure import ModelChoice
from tests.builders import picture, write_tiny_artifact, write_tiny_saccade
from tests.fakes.sources import FakeSource

CLIP = Clip("fake", 30.0, lambda: FakeSource([picture()] * 3))


def model(*artifacts: Path) -> ModelChoice:
    return ModelChoice(list(artifacts), "auto", 1, 0.4)


def test_warmup_is_done_and_memory_known_when_it_is_open(tmp_path: Path) -> None:
    path = write_tiny_artifact(tmp_path / "tiny.onnx")
    artifact = MeasuredArtifact(path, model(path), CLIP, 4)
    assert [frame.sequence for frame in artifact.warmup] == [0, 1, 2, 3]
    assert all(frame.is_warmup for frame in artifact.warmup)
    assert artifact.memory.host_peak >= artifact.memory.host_open > 0
    assert artifact.postprocess.score_threshold == 0.4
    assert artifact.sequence.next_frame().sequence == 4
    artifact.close()


def test_a_model_of_two_looks_is_measured_as_it_is_streamed(tmp_path: Path) -> None:
    path = write_tiny_saccade(tmp_path / "saccade.onnx", attention=0.9)
    artifact = MeasuredArtifact(path, model(path), CLIP, 0)
    assert artifact.postprocess.sigma != 0.5
    stages = [span.stage for span in artifact.sequence.next_frame().spans]
    assert "network" in stages and artifact.warmup == ()
    artifact.close()


def has_open_file_in(folder: Path) -> bool:
    """Say whether this process holds a file there open; Linux only."""
    return any(folder in link.resolve().parents for link in Path("/proc/self/fd").iterdir())


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="the system does not tell")
@pytest.mark.parametrize("fault", ["artifact", "clip"])
def test_nothing_stays_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    path = write_tiny_artifact(tmp_path / "tiny.onnx")
    good = MeasuredArtifact(path, model(path), CLIP, 1)
    assert list((tmp_path / "temporary").iterdir())
    assert has_open_file_in(tmp_path / "temporary")
    good.close()
    assert not has_open_file_in(tmp_path / "temporary")
    assert not list((tmp_path / "temporary").iterdir())
    clip = CLIP
    if fault == "artifact":
        path = tmp_path / "none.onnx"
    else:
        clip = Clip("empty", 30.0, lambda: FakeSource([]))
    with pytest.raises((ArtifactError, SourceError)):
        MeasuredArtifact(path, model(path), clip, 1)
    assert not list((tmp_path / "temporary").iterdir())
