"""The checkpoint of a run in progress."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from detectors.trainer import Trainer
from detectors.training_state import describe_run, remove_leftovers, restore_state, save_state
from runtime.errors import CheckpointError
from tests.detectors.tiny_training import TINY_OPTIONS, differing, tiny_batches, tiny_options

ROOT = Path(__file__).resolve().parents[2]


def described(trainer: Trainer, **changes: object) -> dict[str, object]:
    return describe_run(trainer, 6, ("a", "b"), 2) | changes


def test_everything_comes_back(shapes, tmp_path):
    first = Trainer(TINY_OPTIONS, 6)
    first.train_step(tiny_batches(shapes, TINY_OPTIONS))
    save_state(tmp_path / "last.pt", first, described(first), {"ap": 0.5, "step": 1})
    drawn = torch.rand(3)
    second = Trainer(TINY_OPTIONS, 6)
    assert restore_state(tmp_path / "last.pt", second, described(second)) == {"ap": 0.5, "step": 1}
    assert torch.equal(torch.rand(3), drawn)
    assert second.step == 1
    assert not differing(first.network.state_dict(), second.network.state_dict())
    assert not differing(first.average.network.state_dict(), second.average.network.state_dict())
    moments = [t.optimizer.state_dict()["state"] for t in (first, second)]
    assert all(not differing(moments[0][i], moments[1][i]) for i in moments[0])


def test_the_average_still_follows_the_network_after_restoring(shapes, tmp_path):
    trainer = Trainer(tiny_options(average_decay=0.0), 6)
    save_state(tmp_path / "last.pt", trainer, described(trainer), {})
    restore_state(tmp_path / "last.pt", trainer, described(trainer))
    trainer.train_step(tiny_batches(shapes, TINY_OPTIONS))
    assert not differing(trainer.network.state_dict(), trainer.average.network.state_dict())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rate": 0.5}, "rate was 0.001, is 0.5"),
        ({"images": 7}, "images was 6, is 7"),
        ({"class_names": ["a", "c"]}, "class_names was"),
        ({"micro_batch": 1}, "micro_batch was 2, is 1"),
    ],
)
def test_another_run_is_refused_by_name(tmp_path, changes, message):
    trainer = Trainer(TINY_OPTIONS, 6)
    save_state(tmp_path / "last.pt", trainer, described(trainer), {})
    with pytest.raises(CheckpointError, match=message):
        restore_state(tmp_path / "last.pt", trainer, described(trainer, **changes))


@pytest.mark.parametrize("content", [b"", b"damaged", None])
def test_files_that_cannot_be_read_are_refused(tmp_path, content):
    trainer = Trainer(TINY_OPTIONS, 6)
    if content is not None:
        (tmp_path / "last.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match="leave --resume away"):
        restore_state(tmp_path / "last.pt", trainer, described(trainer))


def test_a_file_cut_short_is_refused(tmp_path):
    trainer = Trainer(TINY_OPTIONS, 6)
    save_state(tmp_path / "last.pt", trainer, described(trainer), {})
    whole = (tmp_path / "last.pt").read_bytes()
    (tmp_path / "last.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match="cannot read"):
        restore_state(tmp_path / "last.pt", trainer, described(trainer))


def test_a_pickle_that_runs_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    torch.save({"run": Evil()}, tmp_path / "last.pt")
    trainer = Trainer(TINY_OPTIONS, 6)
    with pytest.raises(CheckpointError, match="cannot read") as refused:
        restore_state(tmp_path / "last.pt", trainer, described(trainer))
    assert "weights_only" not in str(refused.value)  # torch's advice to trust the file
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"a": torch.zeros(1)}}, "does not fit this network"),
        ({"optimizer": {}}, "does not fit this network"),
        ({"random": {}}, "does not fit this network"),
        ({"run": "x"}, "no checkpoint of this command"),
        ({"step": "x"}, "no checkpoint of this command"),
    ],
)
def test_a_file_of_other_contents_is_refused_in_one_sentence(tmp_path, changes, message):
    trainer = Trainer(TINY_OPTIONS, 6)
    save_state(tmp_path / "last.pt", trainer, described(trainer), {})
    state = torch.load(tmp_path / "last.pt", weights_only=True)
    torch.save(state | changes, tmp_path / "last.pt")
    with pytest.raises(CheckpointError, match=message) as refused:
        restore_state(tmp_path / "last.pt", trainer, described(trainer))
    assert len(str(refused.value)) < 400


FULL_DISK = """
import sys
from pathlib import Path
from detectors.trainer import Trainer
from detectors.training_state import save_state
from runtime.errors import OutputError
from tests.detectors.tiny_training import TINY_OPTIONS
try:
    save_state(Path(sys.argv[1]), Trainer(TINY_OPTIONS, 6), {}, {})
except OutputError as error:
    print(error)
"""


def limit_file_size() -> None:
    """Let files grow to a megabyte only, the nearest thing to a full disk that a test can have."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))


@pytest.mark.slow
def test_a_disk_that_fills_up_is_told_and_leaves_the_old_file(tmp_path):
    (tmp_path / "last.pt").write_bytes(b"the last good one")
    result = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / "last.pt")],
        cwd=ROOT,
        preexec_fn=limit_file_size,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "last.pt (File too large); the checkpoint before it" in result.stdout, result.stderr
    assert (tmp_path / "last.pt").read_bytes() == b"the last good one"
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]


def test_leftovers_of_the_same_file_are_removed(tmp_path):
    (tmp_path / ".last.17.part.pt").touch()
    (tmp_path / ".other.17.part.pt").touch()
    remove_leftovers(tmp_path / "last.pt")
    assert [path.name for path in tmp_path.iterdir()] == [".other.17.part.pt"]
