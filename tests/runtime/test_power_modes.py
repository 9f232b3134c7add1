"""Walking through power modes: asked first, restored in every case."""

from __future__ import annotations

import io
import os
import signal
from pathlib import Path

import pytest

from runtime.errors import UsageError
from runtime.machine import PROGRAM_TIMEOUT_S, Answer
from runtime.nvpmodel import PowerMode
from runtime.power_modes import ModeRun, confirm, list_power_modes, walk_power_modes
from tests.fakes.machine import FakeMachine

LOW, MIDDLE, HIGH = PowerMode(0, "15W"), PowerMode(1, "25W"), PowerMode(2, "MAXN_SUPER")
LISTING = "".join(
    f"NVPM VERB: POWER_MODEL: ID={mode.number} NAME={mode.name}\n" for mode in (LOW, MIDDLE, HIGH)
)
CLOCKS = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_{}_freq"


class FakeJetson(FakeMachine):
    """Has three modes, and jetson_clocks, which a change of modes lets go."""

    def __init__(self, root: Path, current: PowerMode = MIDDLE) -> None:
        super().__init__(root)
        self.current = current
        self.refused: dict[int, Answer] = {}  # what nvpmodel says instead of setting a mode
        self.may_sudo = True
        self.keeps_clocks = True
        self.name_in_answers: str | None = None  # other than in the list
        self.stored = ""
        self.with_sudo: list[bool] = []

    def hold_clocks(self) -> None:
        self.add(CLOCKS.format("min"), "1728000").add(CLOCKS.format("max"), "1728000")

    def run(self, *command: str, timeout_s: float = PROGRAM_TIMEOUT_S) -> Answer:
        has_sudo = command[:2] == ("sudo", "-n")
        words = command[2:] if has_sudo else command
        self.commands.append(" ".join(words))
        self.with_sudo.append(has_sudo)
        if has_sudo and not self.may_sudo:
            return Answer(False, "sudo: a password is required")
        if words == ("nvpmodel", "-q"):
            name = self.name_in_answers or self.current.name
            return Answer(True, f"NV Power Mode: {name}\n{self.current.number}")
        if words[:2] == ("nvpmodel", "-m"):
            return self._set(int(words[2]))
        if words[0] == "jetson_clocks":
            return self._clocks(*words[1:])
        assert words == ("nvpmodel", "-p", "--verbose")
        return Answer(True, LISTING)

    def _set(self, number: int) -> Answer:
        if number in self.refused:
            return self.refused[number]
        self.current = (LOW, MIDDLE, HIGH)[number]
        if self.exists(CLOCKS.format("min")):
            self.add(CLOCKS.format("min"), "729600")
        return Answer(True, "")

    def _clocks(self, action: str, path: str) -> Answer:
        if not self.keeps_clocks:
            return Answer(False, "Error: Run this script as a root user")
        if action == "--store":
            self.stored = path
        elif path == self.stored:
            self.hold_clocks()
        return Answer(True, "")


@pytest.fixture
def jetson(tmp_path: Path) -> FakeJetson:
    return FakeJetson(tmp_path)


def walk(jetson: FakeJetson, measure: object = None) -> list[ModeRun[str]]:
    def name_of(mode: PowerMode) -> str:
        assert jetson.current == mode
        return mode.name.lower()

    return walk_power_modes(jetson, lambda _question: True, measure or name_of, lambda _s: None)


def test_every_mode_is_measured_and_the_first_restored(jetson: FakeJetson) -> None:
    runs = walk(jetson)
    assert runs == [
        ModeRun(LOW, "15w", ""),
        ModeRun(MIDDLE, "25w", ""),
        ModeRun(HIGH, "maxn_super", ""),
    ]
    assert jetson.current == MIDDLE
    assert [line for line in jetson.commands if " -m " in line] == [
        f"nvpmodel -m {number}" for number in (0, 1, 2, 1)
    ]


def test_a_mode_is_known_by_its_number_whatever_it_is_called(jetson: FakeJetson) -> None:
    jetson.name_in_answers = "MODE_OTHER"
    assert [run.note for run in walk(jetson)] == ["", "", ""]
    assert jetson.current == MIDDLE


@pytest.mark.parametrize(("user", "has_sudo"), [(0, False), (1000, True)])
def test_only_what_changes_something_is_run_as_root(
    jetson: FakeJetson, monkeypatch: pytest.MonkeyPatch, user: int, has_sudo: bool
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    jetson.hold_clocks()
    walk(jetson)
    calls = list(zip(jetson.commands, jetson.with_sudo, strict=True))
    calls.remove(("nvpmodel -q", has_sudo))  # the trial whether sudo asks for a password
    for line, with_sudo in calls:
        is_change = " -m " in line or line.startswith("jetson_clocks")
        assert with_sudo == (is_change and has_sudo), line


def test_it_waits_after_every_change_for_clocks_to_settle(jetson: FakeJetson) -> None:
    waited: list[float] = []
    walk_power_modes(jetson, lambda _question: True, lambda _mode: None, waited.append)
    assert waited == [5.0, 5.0, 5.0]


def test_the_question_names_the_modes_and_no_leaves_all_as_it_is(jetson: FakeJetson) -> None:
    asked: list[str] = []

    def say_no(question: str) -> bool:
        asked.append(question)
        return False

    with pytest.raises(UsageError, match="power modes are left as they are"):
        walk_power_modes(jetson, say_no, lambda _mode: pytest.fail("measured"))
    assert asked == [
        "Switch through the power modes 15W (mode 0), 25W (mode 1), MAXN_SUPER (mode 2), and back "
        "to 25W (mode 1) at the end?"
    ]
    assert not any(" -m " in line for line in jetson.commands)


@pytest.mark.parametrize("said", [KeyboardInterrupt(), ValueError("a bug"), SystemExit(3)])
def test_whatever_ends_a_measurement_the_first_mode_comes_back(
    jetson: FakeJetson, said: BaseException
) -> None:
    def fail_in_the_last(mode: PowerMode) -> None:
        if mode == HIGH:
            raise said

    with pytest.raises(type(said)):
        walk(jetson, fail_in_the_last)
    assert jetson.current == MIDDLE


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_the_program_restores_first(
    jetson: FakeJetson, number: signal.Signals
) -> None:
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with pytest.raises(SystemExit) as end:
        walk(jetson, lambda _mode: os.kill(os.getpid(), number))
    assert end.value.code == 128 + number
    assert jetson.current == MIDDLE
    after = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    assert after == before


def test_a_second_ctrl_c_does_not_stop_the_restoring(
    jetson: FakeJetson, monkeypatch: pytest.MonkeyPatch
) -> None:
    really_set = jetson._set

    def set_while_interrupted(number: int) -> Answer:
        if number == MIDDLE.number:
            os.kill(os.getpid(), signal.SIGINT)
        return really_set(number)

    def interrupt(_mode: PowerMode) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(jetson, "_set", set_while_interrupted)
    with pytest.raises(KeyboardInterrupt):
        walk(jetson, interrupt)
    assert jetson.current == MIDDLE


@pytest.mark.parametrize(
    "answer",
    [
        Answer(True, "NVPM WARN: Reboot required for changing to this power mode: 0"),
        Answer(True, ""),
        Answer(False, "NVPM ERROR: optMask is 1, no request for power mode"),
    ],
)
def test_a_mode_that_needs_a_reboot_is_left_out(
    jetson: FakeJetson, answer: Answer, capsys: pytest.CaptureFixture[str]
) -> None:
    jetson.refused[LOW.number] = answer
    runs = walk(jetson)
    assert runs[0] == ModeRun(LOW, None, "it needs a reboot: sudo nvpmodel -m 0")
    assert [run.result for run in runs[1:]] == ["25w", "maxn_super"]
    assert capsys.readouterr().err == (
        "15W (mode 0) left out: it needs a reboot: sudo nvpmodel -m 0\n"
    )


def test_a_mode_that_fails_otherwise_says_why(jetson: FakeJetson) -> None:
    jetson.refused[HIGH.number] = Answer(False, "NVPM ERROR: failed to write PARAM EMC")
    assert walk(jetson)[-1].note == "nvpmodel failed: NVPM ERROR: failed to write PARAM EMC"


def test_a_mode_that_cannot_be_restored_is_an_error_with_the_command(jetson: FakeJetson) -> None:
    def lock_out(mode: PowerMode) -> None:
        if mode == HIGH:
            jetson.refused[MIDDLE.number] = Answer(False, "sudo: a password is required")

    with pytest.raises(UsageError) as error:
        walk(jetson, lock_out)
    assert str(error.value) == (
        "power mode 25W (mode 1) could not be restored: nvpmodel failed: sudo: a password is "
        "required; expected it to be set; run: sudo nvpmodel -m 1"
    )


def test_without_permission_nothing_is_changed(
    jetson: FakeJetson, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    jetson.may_sudo = False
    with pytest.raises(UsageError, match=r"a password is required.*; run sudo -v first"):
        walk(jetson)
    assert jetson.current == MIDDLE
    assert not any(" -m " in line for line in jetson.commands)


def test_a_machine_without_modes_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"found no power modes: .*leave --power-modes away"):
        list_power_modes(FakeMachine(tmp_path))


def test_a_query_that_names_no_mode_is_refused_before_anything_changes(
    jetson: FakeJetson, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jetson, "run", lambda *_command, **_named: Answer(True, LISTING))
    with pytest.raises(UsageError, match="nvpmodel -q names no power mode"):
        walk(jetson)


def test_modes_come_from_the_configuration_where_the_program_lists_none(tmp_path: Path) -> None:
    machine = FakeMachine(tmp_path).add("/etc/nvpmodel.conf", "< POWER_MODEL ID=3 NAME=50W >\n")
    assert list_power_modes(machine) == (PowerMode(3, "50W"),)


def test_clocks_that_were_held_are_held_again(jetson: FakeJetson) -> None:
    jetson.hold_clocks()
    walk(jetson)
    assert jetson.read(CLOCKS.format("min")) == "1728000"
    actions = [line.split()[1] for line in jetson.commands if line.startswith("jetson_clocks")]
    assert actions == ["--store", "--restore"]
    last_mode = max(i for i, line in enumerate(jetson.commands) if " -m " in line)
    restored = next(i for i, line in enumerate(jetson.commands) if "--restore" in line)
    assert restored > last_mode  # a change of modes would let them go again
    assert not Path(jetson.stored).parent.exists()


def test_clocks_that_are_free_are_left_alone(jetson: FakeJetson) -> None:
    jetson.add(CLOCKS.format("min"), "729600").add(CLOCKS.format("max"), "1728000")
    walk(jetson)
    assert not any(line.startswith("jetson_clocks") for line in jetson.commands)


def test_clocks_that_cannot_be_kept_are_said(
    jetson: FakeJetson, capsys: pytest.CaptureFixture[str]
) -> None:
    jetson.hold_clocks()
    jetson.keeps_clocks = False
    walk(jetson)
    assert capsys.readouterr().err == "clocks were not restored; run: sudo jetson_clocks\n"


def test_yes_answers_the_question_and_no_terminal_refuses_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert confirm("Switch?", is_yes=True)
    with pytest.raises(UsageError, match=r"got no terminal to ask on .*; expected one, or --yes"):
        confirm("Switch?", is_yes=False)


@pytest.mark.parametrize(
    ("said", "answer"), [("y", True), (" YES ", True), ("", False), ("n", False), ("yep", False)]
)
def test_only_yes_is_yes(monkeypatch: pytest.MonkeyPatch, said: str, answer: bool) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("builtins.input", lambda _question: said)
    assert confirm("Switch?", is_yes=False) is answer
