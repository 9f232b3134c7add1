"""What systemd hears: by the protocol, and only as long as the stream gets on."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from runtime.service_notify import LONGEST_SILENCE_S, ServiceManager, Watchdog
from runtime.source_state import SourceState
from runtime.stream_status import CameraStatus, StreamStatus
from tests.fakes.service_manager import FakeServiceManager, service_manager

ROOT = Path(__file__).parents[2]
LIVE = CameraStatus("gate", SourceState.LIVE, captured=10, results=10, frames_per_second=29.97)
AWAY = CameraStatus("yard", SourceState.RETRYING, "yard is away", captured=10, results=10)


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[FakeServiceManager]:
    with service_manager(tmp_path) as manager:
        yield manager


def told_by(systemd: FakeServiceManager, **environment: str) -> ServiceManager:
    return ServiceManager({"NOTIFY_SOCKET": systemd.address, **environment})


class Stream:
    """A stream whose clock and cameras a test sets."""

    def __init__(self, systemd: FakeServiceManager, *cameras: CameraStatus, usec: int = 30_000_000):
        self.now = 1000.0
        self.looks = 0
        self.cameras = cameras
        self.reported: list[str] = []
        self._systemd = systemd
        manager = told_by(systemd, **({"WATCHDOG_USEC": str(usec)} if usec else {}))
        self.watchdog = Watchdog(manager, self.status, self.reported.append, clock=lambda: self.now)

    def status(self) -> StreamStatus:
        self.looks += 1
        return StreamStatus("nano", "fp32", "onnxruntime", 0.3, 1.0, self.cameras, (), {})

    def after(self, seconds: float) -> list[str]:
        """Return what systemd hears while the main loop ticks for a time."""
        end = self.now + seconds
        said: list[str] = []
        while self.now < end:
            self.now += 0.25
            self.watchdog.tick()
            said += self._systemd.waiting()  # the socket holds few messages only
        return said

    def get_on(self, seconds: float, results: int = 1) -> list[str]:
        """Let results come every second."""
        said = []
        for _ in range(int(seconds)):
            self.cameras = tuple(
                replace(c, captured=c.captured + results, results=c.results + results)
                for c in self.cameras
            )
            said += self.after(1.0)
        return said


def test_messages_are_those_of_the_protocol(systemd: FakeServiceManager) -> None:
    manager = told_by(systemd)
    assert manager.is_listening
    manager.ready()
    manager.status("two\nlines\u00e9")
    manager.alive()
    manager.stopping()
    assert systemd.waiting() == ["READY=1", "STATUS=two lines\u00e9", "WATCHDOG=1", "STOPPING=1"]


def test_name_outside_the_file_system() -> None:
    with contextlib.closing(FakeServiceManager(f"@cornerrt-test-{os.getpid()}")) as systemd:
        told_by(systemd).ready()
        assert systemd.waiting() == ["READY=1"]


@pytest.mark.parametrize(
    "address", ["", "/no/such/socket", "@nobody-listens", "vsock:2:1", "x" * 300]
)
def test_nobody_to_tell_is_no_error(address: str) -> None:
    manager = ServiceManager({"NOTIFY_SOCKET": address})
    manager.ready()
    assert manager.is_listening == bool(address)
    assert manager.watchdog_s is None


def test_own_environment_is_the_default(
    monkeypatch: pytest.MonkeyPatch, systemd: FakeServiceManager
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", systemd.address)
    ServiceManager().ready()
    assert systemd.waiting() == ["READY=1"]


@pytest.mark.parametrize(
    ("usec", "pid", "expected"),
    [
        ("30000000", "", 30.0),
        ("500000", str(os.getpid()), 0.5),
        ("30000000", str(os.getpid() + 1), None),  # meant for another process
        ("", "", None),
        ("0", "", None),
        ("-5", "", None),
        ("soon", "", None),
    ],
)
def test_interval_is_the_one_for_this_process(usec: str, pid: str, expected: float | None) -> None:
    assert ServiceManager({"WATCHDOG_USEC": usec, "WATCHDOG_PID": pid}).watchdog_s == expected


@pytest.mark.parametrize(("usec", "longest_s"), [(2_000_000, 1.0), (30_000_000, 5.0), (0, 5.0)])
def test_signs_of_life_come_at_half_the_interval(
    systemd: FakeServiceManager, usec: int, longest_s: float
) -> None:
    stream = Stream(systemd, LIVE, usec=usec)
    heard = stream.get_on(60).count("WATCHDOG=1")
    assert heard == 60 / longest_s
    assert stream.looks == heard


def test_status_line_names_every_camera(systemd: FakeServiceManager) -> None:
    assert Stream(systemd, LIVE, AWAY).get_on(1) == [
        "WATCHDOG=1",
        "STATUS=gate: 30.0 FPS, yard: retrying",
    ]


def test_without_systemd_nobody_looks() -> None:
    looks: list[int] = []
    watchdog = Watchdog(ServiceManager({}), lambda: looks.append(1))  # type: ignore[arg-type]
    watchdog.tick()
    assert not looks


def test_stuck_inference_is_no_longer_vouched_for(systemd: FakeServiceManager) -> None:
    stream = Stream(systemd, LIVE)
    stream.get_on(10)
    waiting = replace(stream.cameras[0], captured=stream.cameras[0].captured + 1)
    stream.cameras = (waiting,)
    assert "WATCHDOG=1" in stream.after(LONGEST_SILENCE_S - 6)
    stream.after(12)
    heard = stream.after(300)
    assert "WATCHDOG=1" not in heard
    assert len(stream.reported) == 1
    assert stream.reported[0].startswith("stuck: no result for 6")
    assert any(line.startswith("STATUS=stuck") for line in systemd.heard)
    # It was only slow: the next result, and all is well.
    assert "WATCHDOG=1" in stream.get_on(6)


@pytest.mark.parametrize(
    "cameras",
    [
        (AWAY,),
        (replace(AWAY, state=SourceState.CONNECTING), AWAY),
        (replace(LIVE, state=SourceState.ENDED), AWAY),
        # Pictures that were dropped or left out are owed no result.
        (replace(LIVE, captured=100, dropped=60, skipped=30),),
        # A camera that sends a picture now and then, and all were looked at.
        (LIVE,),
        (),
    ],
)
def test_cameras_that_are_away_are_waited_for(
    systemd: FakeServiceManager, cameras: tuple[CameraStatus, ...]
) -> None:
    stream = Stream(systemd, *cameras)
    stream.after(3600)
    assert stream.after(5.0).count("WATCHDOG=1") == 1
    assert not stream.reported


@pytest.mark.parametrize(
    "camera",
    [
        replace(LIVE, state=SourceState.STALLED),
        replace(LIVE, captured=11),
        replace(LIVE, captured=40, dropped=29),
        replace(AWAY, captured=11),
        replace(LIVE, state=SourceState.ENDED, captured=11),
    ],
)
def test_pictures_that_wait_and_drivers_that_hang_are_a_reason(
    systemd: FakeServiceManager, camera: CameraStatus
) -> None:
    stream = Stream(systemd, camera)
    stream.after(LONGEST_SILENCE_S + 10)
    assert "WATCHDOG=1" not in stream.after(600)


def test_camera_that_comes_back_has_its_time(systemd: FakeServiceManager) -> None:
    stream = Stream(systemd, AWAY)
    stream.after(3600)
    stream.cameras = (replace(LIVE, captured=11),)
    assert "WATCHDOG=1" in stream.after(LONGEST_SILENCE_S - 10)


def test_one_camera_that_gets_on_is_enough(systemd: FakeServiceManager) -> None:
    stream = Stream(systemd, LIVE, replace(AWAY, state=SourceState.STALLED))
    stream.get_on(300)
    assert not stream.reported


def test_time_of_day_does_not_matter(
    systemd: FakeServiceManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = Stream(systemd, LIVE)
    monkeypatch.setattr("time.time", lambda: pytest.fail("looked at the time of day"))
    stream.get_on(20)


PROGRAM = """
import sys, time
from runtime.service_notify import ServiceManager, Watchdog
from tests.runtime.test_service_notify import LIVE, StreamStatus
manager = ServiceManager()
status = lambda: StreamStatus("nano", "fp32", "onnxruntime", 0.3, 1.0, (LIVE,), (), {})
watchdog = Watchdog(manager, status)
manager.ready()
while True:
    watchdog.tick()
    time.sleep(0.05)
"""


def test_process_tells_its_parent(systemd: FakeServiceManager) -> None:
    environment = {**os.environ, "NOTIFY_SOCKET": systemd.address, "WATCHDOG_USEC": "200000"}
    environment.pop("WATCHDOG_PID", None)
    command = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(command, cwd=ROOT, env=environment) as process:
        try:
            assert systemd.listen("READY=1") == ["READY=1"]
            for _ in range(3):
                systemd.listen("WATCHDOG=1")
        finally:
            process.kill()


def test_stream_is_ready_gives_signs_of_life_and_says_that_it_stops(
    systemd: FakeServiceManager, tmp_path: Path
) -> None:
    environment = {**os.environ, "NOTIFY_SOCKET": systemd.address, "WATCHDOG_USEC": "500000"}
    environment.pop("WATCHDOG_PID", None)
    records = tmp_path / "records.jsonl"
    command = [sys.executable, str(ROOT / "runtime" / "stream.py"), "--camera", "gate=test://"]
    command += ["--backend", "synthetic", "--jsonl", str(records)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert systemd.listen("READY=1") == ["READY=1"]
            systemd.listen("STATUS=gate: ")
            systemd.listen("WATCHDOG=1")
            process.send_signal(signal.SIGTERM)
            systemd.listen("STOPPING=1")
            output, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0
    assert "age" in output
    assert records.read_text("utf-8").endswith("}\n")
    assert "WATCHDOG=1" not in systemd.waiting()
