"""Records of a run: means, rates, and what a resumed run keeps."""

from __future__ import annotations

import json

import pytest

from detectors.training_log import Meter, TrainingLog


class Board:
    """Keeps what TensorBoard would get."""

    def __init__(self) -> None:
        self.scalars, self.is_closed = [], False

    def add_scalars(self, step, values) -> None:
        self.scalars.append((step, dict(values)))

    def close(self) -> None:
        self.is_closed = True


def test_a_record_holds_means_speed_and_the_share_of_waiting():
    meter = Meter(images_per_step=8)
    meter.add({"total": 4.0, "focal": 3.0}, step_s=1.5, waited_s=0.5)
    meter.add({"total": 2.0, "focal": 1.0}, step_s=0.5, waited_s=0.0)
    assert meter.take() == {"total": 3.0, "focal": 2.0, "images_per_s": 8.0, "loader_share": 0.25}
    meter.add({"total": 9.0, "focal": 9.0}, step_s=1.0, waited_s=1.0)
    assert meter.take()["total"] == 9.0
    assert meter.take() == {}


def test_records_are_json_lines_and_reach_the_board(tmp_path):
    board = Board()
    with TrainingLog(tmp_path / "log.jsonl", 0, 9, board) as log:
        log.step()
        log.write(1, {"total": 2.5})
        log.write(2, {"ap": 0.5})
    records = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [(r["step"], r.get("total"), r.get("ap")) for r in records] == [
        (1, 2.5, None),
        (2, None, 0.5),
    ]
    assert all(r["seconds"] >= 0 for r in records)
    assert board.scalars == [(1, {"total": 2.5}), (2, {"ap": 0.5})] and board.is_closed


def test_figures_that_are_not_finite_are_left_out(tmp_path):
    board = Board()
    with TrainingLog(tmp_path / "log.jsonl", 0, 9, board) as log:
        log.write(1, {"total": 2.5, "gradient": float("inf")})
    record = json.loads((tmp_path / "log.jsonl").read_text())
    assert record["total"] == 2.5 and "gradient" not in record
    assert board.scalars == [(1, {"total": 2.5})]


def test_a_resumed_run_keeps_the_records_up_to_its_first_step(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 2}\n{"step": 4}\n{"step": 6}\n{"ste')
    with TrainingLog(path, 4, 9) as log:
        log.write(5, {})
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [2, 4, 5]


def test_a_new_run_begins_a_new_log(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 2}\n')
    with TrainingLog(path, 0, 9) as log:
        log.write(1, {})
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [1]


def test_other_processes_write_and_show_nothing(tmp_path, capsys):
    with TrainingLog(tmp_path / "log.jsonl", 0, 9, is_silent=True) as log:
        log.step()
        log.write(1, {"total": 1.0})
    assert not list(tmp_path.iterdir()) and capsys.readouterr().err == ""


def test_the_bar_tells_steps_and_figures_in_a_terminal(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with TrainingLog(tmp_path / "log.jsonl", 3, 5) as log:
        log.step()
        log.write(4, {"total": 2.34567, "loader_share": 0.02})
        log.step()
        log.write(5, {"ap": 0.5})
    shown = capsys.readouterr().err
    assert "5/5" in shown and "AP=0.5" in shown and "loss=2.35" in shown


@pytest.mark.parametrize("step", [0, 3])
def test_a_log_that_is_not_there_is_begun(tmp_path, step):
    with TrainingLog(tmp_path / "log.jsonl", step, 9) as log:
        log.write(step + 1, {})
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 1
