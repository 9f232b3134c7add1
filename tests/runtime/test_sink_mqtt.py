"""Results to a real broker that comes and goes."""

from __future__ import annotations

import itertools
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from runtime import sink_mqtt
from runtime.errors import OutputError, UsageError
from runtime.mqtt_queue import MessageQueue
from runtime.options_mqtt import MqttOptions, ResultChoice
from runtime.records import record_from
from runtime.sink_mqtt import MqttSink, ResultFilter, open_mqtt_sink
from runtime.tracks import Crossing, Tracks
from tests.fakes.mqtt_broker import (
    NEEDS_MOSQUITTO,
    Broker,
    Listener,
    free_port,
    running_broker,
    wait_until,
)
from tests.results import found, result

pytest.importorskip("paho.mqtt.client", reason="pip install -e '.[mqtt]'")


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with running_broker(tmp_path / "broker") as broker:
        yield broker


@pytest.fixture
def listener(broker: Broker) -> Iterator[Listener]:
    with closing(Listener(broker.port)) as listener:
        yield listener


def open_sink(lines: list[str], options: MqttOptions) -> MqttSink:
    sink = open_mqtt_sink(options, lines.append)
    assert sink is not None
    return sink


def publish(sink: MqttSink, first: int, last: int, camera: str = "gate") -> None:
    for number in range(first, last + 1):
        sink.publish(result(number, camera=camera, detections=found((1, 0.5))))


def test_without_an_address_there_is_no_sink() -> None:
    assert open_mqtt_sink(MqttOptions(), print) is None


@NEEDS_MOSQUITTO
def test_a_result_arrives_as_its_record_under_its_cameras_topic(
    broker: Broker, listener: Listener, lines: list[str]
) -> None:
    sink = open_sink(lines, MqttOptions(f"mqtt://127.0.0.1:{broker.port}/site/1"))
    tracks = Tracks(found((0, 0.5)).class_ids.astype("int64") + 7, (Crossing("door", "in", 7, 0),))
    sent = [
        result(3, camera="gate/#1", seconds=1.5, detections=found((1, 0.75), (0, 0.25))),
        result(4, camera="Tür", detections=found((0, 0.5)), tracks=tracks),
    ]
    for one in sent:
        sink.publish(one.without_picture())
    sink.close()
    wait_until(lambda: len(listener.records()) == 2)
    for one, record in zip(sent, listener.records(), strict=True):
        expected = json.loads(json.dumps(record_from(one)))
        assert record.keys() == expected.keys()
        assert {**record, "time": ""} == {**expected, "time": ""}  # that of capture, to the ms
    topics = [topic for topic, _ in listener.messages if topic.endswith("detections")]
    assert topics == ["site/1/gate%2F%231/detections", "site/1/Tür/detections"]
    assert lines == []


@NEEDS_MOSQUITTO
def test_the_broker_says_offline_for_a_program_that_was_killed(
    broker: Broker, listener: Listener
) -> None:
    code = (
        "import os, signal, time\n"
        "from runtime.options_mqtt import MqttOptions\n"
        "from runtime.sink_mqtt import open_mqtt_sink\n"
        f"sink = open_mqtt_sink(MqttOptions('mqtt://127.0.0.1:{broker.port}'), print)\n"
        "while not sink._sender._connection.is_open: time.sleep(0.01)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    wait_until(lambda: listener.statuses() == [b"online", b"offline"])


@NEEDS_MOSQUITTO
@pytest.mark.slow
def test_ten_thousand_results_of_two_cameras_arrive_in_order(
    broker: Broker, listener: Listener, lines: list[str], tmp_path: Path
) -> None:
    options = MqttOptions(f"mqtt://127.0.0.1:{broker.port}", mqtt_queue=tmp_path / "queue")
    sink = open_sink(lines, options)
    for number in range(5000):
        publish(sink, number, number, "a")
        publish(sink, number, number, "b")
    wait_until(lambda: len(listener.messages) >= 10_000)
    sink.close()
    records = listener.records()
    for camera in "ab":
        assert [r["frame"] for r in records if r["camera"] == camera] == list(range(5000))
    assert lines == []


@pytest.mark.slow
@NEEDS_MOSQUITTO
def test_nothing_is_lost_and_order_kept_while_the_broker_restarts_again_and_again(
    broker: Broker, listener: Listener, lines: list[str], tmp_path: Path
) -> None:
    options = MqttOptions(f"mqtt://127.0.0.1:{broker.port}", mqtt_queue=tmp_path / "queue")
    sink = open_sink(lines, options)
    stop, sent = threading.Event(), 0

    def send() -> None:
        nonlocal sent
        while not stop.wait(0.002):
            publish(sink, sent, sent)
            sent += 1

    thread = threading.Thread(target=send)
    thread.start()
    for _ in range(2):
        arrived = len(listener.frames())
        wait_until(lambda arrived=arrived: len(listener.frames()) > arrived + 50)
        broker.stop(signal.SIGTERM)
        time.sleep(0.3)
        broker.start()
    arrived = len(listener.frames())
    wait_until(lambda: len(listener.frames()) > arrived)
    stop.set()
    thread.join()
    wait_until(lambda: len(listener.frames()) == sent)
    sink.close()
    assert listener.frames() == list(range(sent))
    assert sum("is back" in line for line in lines) == 2


@NEEDS_MOSQUITTO
@pytest.mark.slow
def test_what_a_killed_broker_had_not_acknowledged_is_sent_again(
    broker: Broker, listener: Listener, lines: list[str]
) -> None:
    broker.keep_subscriptions()
    sink = open_sink(lines, MqttOptions(f"mqtt://127.0.0.1:{broker.port}"))
    publish(sink, 0, 9)
    wait_until(lambda: len(listener.frames()) == 10)
    broker.pause()  # the system still takes what is sent to it
    publish(sink, 10, 199)
    time.sleep(0.2)
    broker.stop(signal.SIGKILL)
    broker.start()
    publish(sink, 200, 249)
    wait_until(lambda: len(listener.frames()) == 250)
    assert listener.frames() == list(range(250))
    sink.close()


@pytest.mark.slow
@NEEDS_MOSQUITTO
def test_a_broker_that_comes_later_gets_everything(tmp_path: Path, lines: list[str]) -> None:
    port = free_port()
    sink = open_sink(lines, MqttOptions(f"mqtt://127.0.0.1:{port}", mqtt_queue=tmp_path / "q"))
    publish(sink, 0, 99)
    wait_until(lambda: len(lines) == 1)
    assert "cannot be reached (Connection refused); results wait" in lines[0]
    late = Broker(_made(tmp_path / "broker"), port=port)
    try:
        late.start()
        with closing(Listener(port)) as listener:
            wait_until(lambda: len(listener.frames()) == 100)
            assert listener.frames() == list(range(100))
            sink.close()
    finally:
        late.stop(signal.SIGKILL)
    assert lines[1:] == [f"MQTT broker mqtt://127.0.0.1:{port} is back"]


@pytest.mark.slow
@NEEDS_MOSQUITTO
def test_results_survive_a_restart_of_the_program_and_keep_their_order(
    tmp_path: Path, lines: list[str], broker: Broker
) -> None:
    nowhere = MqttOptions(f"mqtt://127.0.0.1:{free_port()}", mqtt_queue=tmp_path / "queue")
    for first in (0, 100):
        sink = open_sink(lines, nowhere)
        publish(sink, first, first + 99)
        connection = sink._sender._connection
        wait_until(lambda connection=connection: connection.has_problem)
        sink.close()
        assert f"{first + 100} results that the broker did not take wait for the next" in lines[-1]
    with closing(Listener(broker.port)) as listener:
        here = MqttOptions(f"mqtt://127.0.0.1:{broker.port}", mqtt_queue=tmp_path / "queue")
        sink = open_sink(lines, here)
        publish(sink, 200, 299)
        sink.close()
        wait_until(lambda: len(listener.frames()) == 300)
        assert listener.frames() == list(range(300))
    queue = MessageQueue(tmp_path / "queue", 10**6, lines.append)
    assert queue.waiting == 0
    queue.close()


@NEEDS_MOSQUITTO
@pytest.mark.slow
def test_a_full_queue_survives_a_program_that_is_killed(
    tmp_path: Path, lines: list[str], broker: Broker
) -> None:
    code = (
        "import os, signal, sys, time\n"
        "from pathlib import Path\n"
        "from runtime.options_mqtt import MqttOptions\n"
        "from runtime.sink_mqtt import open_mqtt_sink\n"
        "from tests.results import found, result\n"
        "options = MqttOptions(sys.argv[1], mqtt_queue=Path(sys.argv[2]), mqtt_queue_size=10**6)\n"
        "sink = open_mqtt_sink(options, print)\n"
        "for number in range(6000):\n"
        "    sink.publish(result(number, detections=found((1, 0.5))))\n"
        "    while number % 1000 == 999 and sink._queue._memory: time.sleep(0.01)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    nowhere = f"mqtt://127.0.0.1:{free_port()}"
    arguments = [sys.executable, "-c", code, nowhere, str(tmp_path / "queue")]
    assert subprocess.run(arguments, check=False, timeout=60).returncode == -signal.SIGKILL
    with closing(Listener(broker.port)) as listener:
        here = MqttOptions(f"mqtt://127.0.0.1:{broker.port}", mqtt_queue=tmp_path / "queue")
        sink = open_sink(lines, here)
        publish(sink, 6000, 6099)
        wait_until(lambda: listener.frames()[-1:] == [6099])
        sink.close()
        frames = listener.frames()
    assert frames == list(range(frames[0], 6100))
    assert 0 < frames[0] < 5500
    assert lines == []


@NEEDS_MOSQUITTO
def test_a_wall_clock_that_jumps_changes_nothing(
    broker: Broker, listener: Listener, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    jumps = itertools.cycle((0.0, 4e9, 1e9, 86400.0))
    monkeypatch.setattr(time, "time", lambda: next(jumps))
    options = MqttOptions(f"mqtt://127.0.0.1:{broker.port}", mqtt_rate=1000.0)
    sink = open_sink(lines, options)
    for number in range(100):
        sink.publish(result(number, seconds=number / 100))
    sink.close()
    wait_until(lambda: listener.frames() == list(range(100)))
    assert lines == []


def test_without_a_folder_what_is_left_is_said_to_be_lost(lines: list[str]) -> None:
    sink = open_sink(lines, MqttOptions(f"mqtt://127.0.0.1:{free_port()}"))
    publish(sink, 0, 4)
    sink.discard()
    assert lines[-1] == "--mqtt: 5 results that the broker did not take are lost"


@NEEDS_MOSQUITTO
def test_a_password_from_the_environment_is_taken(
    tmp_path: Path, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    password = "p@ss/w:rd #%"
    monkeypatch.setenv("TEST_MQTT_PASSWORD", password)
    with running_broker(tmp_path / "broker", {"me": password}) as broker:
        address = f"mqtt://me:${{TEST_MQTT_PASSWORD}}@127.0.0.1:{broker.port}"
        sink = open_sink(lines, MqttOptions(address))
        publish(sink, 0, 9)
        sink.close()
    assert lines == []


def test_a_broker_that_accepts_and_never_answers_delays_nobody(
    lines: list[str], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        options = MqttOptions(f"mqtt://127.0.0.1:{port}", mqtt_queue=tmp_path / "queue")
        sink = open_sink(lines, options)
        publish(sink, 0, 999)
        started_s = time.monotonic()
        sink.discard()
        assert time.monotonic() - started_s < 30
    assert lines == ["--mqtt: 1000 results that the broker did not take wait for the next start"]


@NEEDS_MOSQUITTO
@pytest.mark.slow
def test_a_full_queue_loses_the_oldest_and_says_how_many(tmp_path: Path, lines: list[str]) -> None:
    port = free_port()
    options = MqttOptions(f"mqtt://127.0.0.1:{port}", mqtt_queue_size=10**6)
    sink = open_sink(lines, options)
    publish(sink, 0, 2999)
    late = Broker(_made(tmp_path / "broker"), port=port)
    try:
        late.start()
        with closing(Listener(port)) as listener:
            wait_until(lambda: listener.frames()[-1:] == [2999])
            frames = listener.frames()
    finally:
        late.stop(signal.SIGKILL)
    sink.discard()
    assert frames == list(range(frames[0], 3000))
    assert 500 < frames[0] < 2999
    assert f"--mqtt: {frames[0]} results were lost: the queue was full or damaged" in lines


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (MqttOptions(), list(range(12))),
        (MqttOptions(mqtt_every=5), [0, 5, 10]),
        (MqttOptions(mqtt_results=ResultChoice.DETECTIONS), [0, 3, 6, 9]),
        (MqttOptions(mqtt_results=ResultChoice.DETECTIONS, mqtt_every=2), [0, 6]),
        (MqttOptions(mqtt_rate=5.0), [0, 2, 4, 6, 8, 10]),
        (MqttOptions(mqtt_rate=1.0), [0, 10]),
        (MqttOptions(mqtt_rate=1000.0), list(range(12))),
    ],
)
def test_only_the_chosen_results_are_sent(options: MqttOptions, expected: list[int]) -> None:
    chosen = ResultFilter(options)
    results = [
        result(n, seconds=100 + n / 10, detections=found((0, 0.5)) if n % 3 == 0 else None)
        for n in range(12)
    ]
    assert [one.frame.sequence for one in results if chosen.wants(one)] == expected


def test_a_rate_is_kept_on_average_and_not_made_up_for_after_a_pause() -> None:
    chosen = ResultFilter(MqttOptions(mqtt_rate=10.0))
    times = [n / 30 for n in range(300)]
    assert sum(chosen.wants(result(seconds=t)) for t in times) in (100, 101)
    burst = [100 + n / 1000 for n in range(100)]
    assert sum(chosen.wants(result(seconds=t)) for t in burst) in (1, 2)


def test_cameras_are_counted_apart() -> None:
    chosen = ResultFilter(MqttOptions(mqtt_every=2, mqtt_rate=1.0))
    assert [chosen.wants(result(camera=name)) for name in "abab"] == [True, True, False, False]


def test_certificates_for_a_connection_without_encryption_are_refused(tmp_path: Path) -> None:
    options = MqttOptions("mqtt://me:hunter2@broker", mqtt_ca=tmp_path / "ca.pem")
    with pytest.raises(UsageError, match=r"mqtt://broker:1883 is not encrypted; .*mqtts://"):
        open_mqtt_sink(options, print)


def test_a_wrong_address_is_refused_before_anything_is_opened(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--mqtt got an address"):
        open_mqtt_sink(MqttOptions("mqtt://", mqtt_queue=tmp_path / "queue"), print)
    assert not (tmp_path / "queue").exists()


def test_a_missing_library_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "paho.mqtt.client", None)
    monkeypatch.delitem(sys.modules, "runtime.mqtt_connection", raising=False)
    with pytest.raises(UsageError, match=r"paho-mqtt 2, .* pip install -e '.\[mqtt\]'"):
        open_mqtt_sink(MqttOptions("mqtt://b"), print)


def test_a_mistake_of_ours_ends_the_sink(lines: list[str]) -> None:
    sink = open_sink(lines, MqttOptions(f"mqtt://127.0.0.1:{free_port()}"))
    sink._sender.failure = RuntimeError("a mistake")
    with pytest.raises(OutputError, match="a mistake"):
        sink.publish(result())
    sink.discard()


def test_the_sink_says_what_it_needs() -> None:
    assert (sink_mqtt.MqttSink.name, MqttSink.needs_picture) == ("mqtt", False)
    assert not MqttSink.in_main_thread


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
