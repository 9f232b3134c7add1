"""The connection to a broker: logins, certificates, silence, and order after it broke."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from runtime.errors import UsageError
from runtime.mqtt_address import MqttAddress
from tests.fakes.mqtt_broker import NEEDS_MOSQUITTO, Listener, running_broker, wait_until

pytest.importorskip("paho.mqtt.client", reason="pip install -e '.[mqtt]'")
from runtime.mqtt_connection import ConnectionOptions, MqttConnection

PASSWORD = "hunter2-secret"
NEEDS_OPENSSL = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="openssl is not installed: apt install openssl"
)
Connect = Callable[..., MqttConnection]


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def connect(lines: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Connect]:
    """Return a function that starts a connection; all are closed at the end."""
    monkeypatch.setattr("runtime.mqtt_connection.END_S", 0.05)  # paho looks up once a second
    opened: list[MqttConnection] = []

    def start(
        port: int,
        login: tuple[str | None, str | None] = (None, None),
        ca_file: Path | None = None,
        is_tls: bool = False,
        keepalive_s: int = 20,
        host: str = "127.0.0.1",
    ) -> MqttConnection:
        address = MqttAddress(host, port, is_tls, "site", *login)
        options = ConnectionOptions(address, f"test-{len(opened)}", ca_file, keepalive_s)
        opened.append(MqttConnection(options, lambda: None, lines.append))
        opened[-1].start()
        return opened[-1]

    yield start
    for connection in opened:
        connection.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of localhost that signed itself, and its key."""
    path = tmp_path_factory.mktemp("tls") / "broker.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt"),
            *("ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", str(path), "-out", f"{path}.crt"),
        ],
        check=True,
        capture_output=True,
    )
    path.write_bytes(path.read_bytes() + Path(f"{path}.crt").read_bytes())
    path.chmod(0o644)
    return path


@NEEDS_MOSQUITTO
def test_messages_are_acknowledged_by_their_ids(connect: Connect, tmp_path: Path) -> None:
    with running_broker(tmp_path / "broker") as broker:
        connection = connect(broker.port)
        wait_until(lambda: connection.is_open)
        mids = [connection.send("site/a/detections", b"{}") for _ in range(3)]
        acknowledged: list[int] = []
        wait_until(lambda: len(acknowledged.__iadd__(connection.take_acknowledged())) == 3)
        assert acknowledged == mids
        with pytest.raises(ValueError, match="wildcard"):
            connection.send("a/#", b"")


@NEEDS_MOSQUITTO
def test_the_status_says_online_and_offline_also_to_those_who_come_later(
    connect: Connect, tmp_path: Path, lines: list[str]
) -> None:
    with (
        running_broker(tmp_path / "broker") as broker,
        closing(Listener(broker.port)) as listener,
    ):
        connection = connect(broker.port)
        wait_until(lambda: listener.statuses() == [b"online"])
        connection.close()
        wait_until(lambda: listener.statuses() == [b"online", b"offline"])
        with closing(Listener(broker.port)) as later:
            wait_until(lambda: later.statuses()[-1:] == [b"offline"])
    assert lines == []


@pytest.mark.slow
@NEEDS_MOSQUITTO
def test_what_was_not_acknowledged_comes_before_what_is_new(
    connect: Connect, tmp_path: Path, lines: list[str]
) -> None:
    with (
        running_broker(tmp_path / "broker") as broker,
        closing(Listener(broker.port)) as listener,
    ):
        broker.keep_subscriptions()
        connection = connect(broker.port)
        for first in (0, 60, 120):
            wait_until(lambda: connection.is_open)
            wait_until(lambda first=first: len(listener.frames()) == first)
            broker.pause()
            for number in range(first, first + 60):
                assert connection.send("c/detections", b'{"frame": %d}' % number) is not None
            broker.stop(signal.SIGKILL)
            wait_until(lambda: not connection.is_open)
            assert connection.send("c/detections", b"") is None
            broker.start()
        wait_until(lambda: len(listener.frames()) == 180)
        assert listener.frames() == list(range(180))
        assert listener.statuses()[-1] == b"online"
    assert sum("is back" in line for line in lines) >= 3


def test_new_messages_wait_until_the_broker_answers_to_online(connect: Connect) -> None:
    """Only then has paho sent again what was left from the connection before."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        connection = connect(server.getsockname()[1])
        call, _ = server.accept()
        with call:
            login = call.recv(1000)
            assert login[9] == 0x2E  # clean session, last will with QoS 1, retained
            call.sendall(bytes([0x20, 2, 0, 0]))  # CONNACK
            online = call.recv(1000)
            assert online[0] == 0x33  # PUBLISH with QoS 1, retained
            assert online.endswith(b"online")
            assert not connection.is_open
            assert connection.send("a", b"") is None
            message_id = online[-len("online") - 2 : -len("online")]
            call.sendall(bytes([0x40, 2]) + message_id)  # PUBACK
            wait_until(lambda: connection.is_open)
            assert connection.send("a", b"1") is not None
            assert call.recv(1000).endswith(b"1")


@NEEDS_MOSQUITTO
@pytest.mark.parametrize("login", [("me", f"wrong-{PASSWORD}"), (None, None)])
def test_a_wrong_login_is_one_line_without_it(
    connect: Connect, tmp_path: Path, lines: list[str], login: tuple[str | None, str | None]
) -> None:
    with running_broker(tmp_path / "broker", {"me": PASSWORD}) as broker:
        connection = connect(broker.port, login)
        log = tmp_path / "broker" / "mosquitto.log"
        wait_until(lambda: log.read_text("utf-8").count("not authorised") >= 2)
        assert not connection.is_open
        assert connection.has_problem
    assert len(lines) == 1 or "cannot be reached" in lines[1]  # the broker has ended by now
    assert lines[0] == (
        f"MQTT broker mqtt://127.0.0.1:{broker.port} refuses the login (Not authorized); results "
        "wait and it is tried again; check user, password and client id"
    )
    assert PASSWORD not in "".join(lines)


@NEEDS_MOSQUITTO
@NEEDS_OPENSSL
def test_a_broker_with_a_certificate_is_talked_to_in_secret(
    connect: Connect, tmp_path: Path, certificate: Path, lines: list[str]
) -> None:
    with running_broker(tmp_path / "broker", certificate=certificate) as broker:
        connection = connect(
            broker.port, ca_file=Path(f"{certificate}.crt"), is_tls=True, host="localhost"
        )
        wait_until(lambda: connection.is_open)
        assert connection.send("a", b"") is not None
    assert not any("verify" in line for line in lines)


@NEEDS_MOSQUITTO
@NEEDS_OPENSSL
@pytest.mark.parametrize("fault", ["unknown authority", "another name", "no TLS"])
def test_a_broker_that_cannot_prove_its_name_gets_nothing(
    connect: Connect, tmp_path: Path, certificate: Path, lines: list[str], fault: str
) -> None:
    ca_file = None if fault == "unknown authority" else Path(f"{certificate}.crt")
    host = "127.0.0.1" if fault == "another name" else "localhost"
    served = None if fault == "no TLS" else certificate
    with running_broker(tmp_path / "broker", certificate=served) as broker:
        connection = connect(broker.port, ("me", PASSWORD), ca_file=ca_file, is_tls=True, host=host)
        wait_until(lambda: bool(lines))
        assert not connection.is_open
    assert "cannot be reached (" in lines[0]
    if fault != "no TLS":
        assert "certificate" in lines[0].lower()
    assert PASSWORD not in "".join(lines)


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_certificates_that_cannot_be_used_are_refused_at_the_start(
    connect: Connect, tmp_path: Path, content: bytes | None
) -> None:
    ca_file = tmp_path / "ca.pem"
    if content is not None:
        ca_file.write_bytes(content)
    with pytest.raises(UsageError, match=r"--mqtt-ca .*ca\.pem cannot be used .* PEM format"):
        connect(1883, ca_file=ca_file, is_tls=True)


def test_a_name_that_nobody_has_is_one_line(connect: Connect, lines: list[str]) -> None:
    connection = connect(1883, host="no-such-host.invalid")
    wait_until(lambda: bool(lines))
    assert "mqtt://no-such-host.invalid:1883 cannot be reached (" in lines[0]
    assert connection.has_problem
    assert connection.send("a", b"") is None


def test_a_broker_that_never_answers_is_noticed_and_tried_again(
    connect: Connect, lines: list[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        connection = connect(server.getsockname()[1], keepalive_s=1)
        calls = [server.accept()[0] for _ in range(2)]
        assert not connection.is_open
        assert len(lines) == 1
        assert "did not accept the connection (Keep alive timeout)" in lines[0]
        for call in calls:
            call.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        pytest.param(b"", marks=pytest.mark.slow),
        pytest.param(bytes(range(256)), marks=pytest.mark.slow),
    ],
)
def test_a_server_that_is_no_broker_is_one_line(
    connect: Connect, lines: list[str], answer: bytes
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for _ in range(2):
                call, _ = server.accept()
                call.recv(1000)
                call.sendall(answer)
                call.close()

        thread = threading.Thread(target=serve)
        thread.start()
        connection = connect(server.getsockname()[1])
        thread.join(60)
        assert not thread.is_alive()
        wait_until(lambda: bool(lines))
        assert not connection.is_open
    assert "did not accept the connection" in lines[0]
    assert len({line for line in lines if "did not accept" in line}) == 1


def test_closing_takes_seconds_only_whatever_the_network_does(lines: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = MqttAddress("127.0.0.1", server.getsockname()[1], False, "site")
        connection = MqttConnection(ConnectionOptions(address, "me"), lambda: None, lines.append)
        connection.start()
        call, _ = server.accept()
        started_s = time.monotonic()
        connection.close()
        assert time.monotonic() - started_s < 30
        call.close()
    assert lines == []
