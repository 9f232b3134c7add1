"""Where the network comes from: files with and without a contract, and the registry."""

from __future__ import annotations

import shutil
from pathlib import Path

import onnx
import pytest

from export import roofline_subject
from export.roofline_graph import without_weights
from export.roofline_subject import subject_from_file, subject_from_registry
from runtime.errors import ContractError, UsageError
from tests.export.conftest import SIZE_HW
from tests.export.rooflines import two_convolutions


@pytest.fixture(name="exports")
def counted_exports(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[int, int]]]:
    """Let tiny graphs stand in for exported networks; returns what was exported."""
    made: list[tuple[str, tuple[int, int]]] = []

    def export(name: str, size_hw: tuple[int, int]) -> onnx.ModelProto:
        made.append((name, size_hw))
        return without_weights(two_convolutions())

    monkeypatch.setattr(roofline_subject, "_export", export)
    return made


def test_a_file_with_its_contract(nano_onnx: Path) -> None:
    subject = subject_from_file(nano_onnx, None)
    assert (subject.title, subject.model) == ("nano.onnx", "cornernet-nano")
    assert subject.size_hw == SIZE_HW
    assert subject_from_file(nano_onnx, (32, 64)).size_hw == (32, 64)
    with pytest.raises(UsageError, match="got width 65; expected a multiple of 32"):
        subject_from_file(nano_onnx, (32, 65))


def test_a_file_alone(nano_onnx: Path, tmp_path: Path) -> None:
    alone = Path(shutil.copy(nano_onnx, tmp_path / "alone.onnx"))
    subject = subject_from_file(alone, None)
    assert (subject.model, subject.size_hw) == (None, None)


def test_a_contract_that_is_not_right_is_refused(nano_onnx: Path, tmp_path: Path) -> None:
    alone = Path(shutil.copy(nano_onnx, tmp_path / "alone.onnx"))
    (tmp_path / "alone.onnx.json").write_text("{}")
    with pytest.raises(ContractError):
        subject_from_file(alone, None)


def test_a_network_is_exported_once_and_kept(exports: list[object], tmp_path: Path) -> None:
    folder = tmp_path / "new" / "graphs"
    first = subject_from_registry("cornernet-nano", None, folder)
    again = subject_from_registry("cornernet-nano", None, folder)
    assert exports == [("cornernet-nano", (320, 320))]
    assert first.graph == again.graph and first.size_hw == (320, 320)
    subject_from_registry("cornernet-nano", (64, 64), folder)
    assert len(exports) == 2 and len(list(folder.iterdir())) == 2


def test_changed_sources_are_exported_anew(
    exports: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject_from_registry("cornernet-nano", None, tmp_path)
    monkeypatch.setattr(roofline_subject, "_sources_digest", lambda: "other")
    subject_from_registry("cornernet-nano", None, tmp_path)
    assert len(exports) == 2


def test_without_a_folder_nothing_is_kept(exports: list[object]) -> None:
    for _ in range(2):
        subject_from_registry("cornernet-nano", (64, 64), None)
    assert len(exports) == 2


def test_names_sizes_and_folders_that_do_not_fit(exports: list[object], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown model 'nano'"):
        subject_from_registry("nano", None, None)
    with pytest.raises(UsageError, match="got height 100"):
        subject_from_registry("cornernet-nano", (100, 64), None)
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="--graphs cannot make"):
        subject_from_registry("cornernet-nano", None, tmp_path / "file")
    assert exports == []
