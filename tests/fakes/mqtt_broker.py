"""A real MQTT broker, mosquitto, as a child process, and one who listens to it."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

START_TIMEOUT_S = 30.0
NEEDS_MOSQUITTO = pytest.mark.skipif(
    shutil.which("mosquitto") is None or shutil.which("mosquitto_passwd") is None,
    reason="mosquitto is not installed: apt install mosquitto",
)


def wait_until(condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
    """Wait for something that happens in another thread; fail if it does not."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, f"did not happen within {timeout_s:g} s"
        time.sleep(0.01)


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody uses."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass
class Broker:
    """Mosquitto on 127.0.0.1, on the same port after every start.

    Attributes:
        folder: For its files.
        users: Passwords by name; none for no login.
        certificate: Certificate and key in one file, for TLS; None without.
        port: Where it listens.
    """

    folder: Path
    users: dict[str, str] = field(default_factory=dict)
    certificate: Path | None = None
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until it answers."""
        config = self.folder / "mosquitto.conf"
        config.write_text("\n".join(self._settings()) + "\n", encoding="utf-8")
        with (self.folder / "mosquitto.log").open("ab") as log:
            self._process = subprocess.Popen(
                ["mosquitto", "-c", str(config)], stdout=log, stderr=log
            )
        wait_until(self._answers, START_TIMEOUT_S)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it; with SIGTERM it keeps what it promised to deliver, with SIGKILL it does not."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.send_signal(signal.SIGCONT)
            self._process.wait(START_TIMEOUT_S)
            self._process = None

    def keep_subscriptions(self) -> None:
        """Start again, so that it knows its subscribers also after it is killed."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Let it keep its connections and answer nothing, until it is ended."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "mosquitto.log").read_text("utf-8")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def _settings(self) -> Iterator[str]:
        yield f"listener {self.port} 127.0.0.1"
        yield f"allow_anonymous {'false' if self.users else 'true'}"
        yield "max_queued_messages 0"
        yield "max_inflight_messages 0"
        yield "persistence true"
        yield f"persistence_location {self.folder}/"
        yield "user root"  # of effect for root only: else it could not write into the folder
        if self.users:
            passwords = self.folder / "passwords"
            passwords.touch()
            for name, password in self.users.items():
                subprocess.run(
                    ["mosquitto_passwd", "-b", str(passwords), name, password], check=True
                )
            yield f"password_file {passwords}"
        if self.certificate is not None:
            yield f"certfile {self.certificate}"
            yield f"keyfile {self.certificate}"


@contextlib.contextmanager
def running_broker(
    folder: Path, users: dict[str, str] | None = None, certificate: Path | None = None
) -> Iterator[Broker]:
    """Run a broker within the block."""
    folder.mkdir(exist_ok=True)
    broker = Broker(folder, users or {}, certificate)
    try:
        broker.start()
        yield broker
    finally:
        broker.stop(signal.SIGKILL)


class Listener:
    """Subscribed to everything; gets also what came while the broker was away.

    Attributes:
        messages: Topic and payload, in the order of arrival.
    """

    def __init__(self, port: int) -> None:
        import paho.mqtt.client as mqtt
        from paho.mqtt.enums import CallbackAPIVersion

        self.messages: list[tuple[str, bytes]] = []
        self._is_subscribed = threading.Event()
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="listener", clean_session=False)
        client.on_connect = lambda client, *_rest: client.subscribe("#", qos=1)
        client.on_subscribe = lambda *_: self._is_subscribed.set()
        client.on_message = lambda _client, _data, message: self.messages.append(
            (message.topic, message.payload)
        )
        client.reconnect_delay_set(1, 1)
        client.connect("127.0.0.1", port)
        client.loop_start()
        self._client = client
        assert self._is_subscribed.wait(START_TIMEOUT_S)

    def records(self) -> list[dict[str, Any]]:
        """Return the results that came, again those that came again."""
        found = list(self.messages)
        return [json.loads(payload) for topic, payload in found if topic.endswith("/detections")]

    def frames(self) -> list[int]:
        """Return the numbers of their pictures, each when it came first."""
        return list(dict.fromkeys(record["frame"] for record in self.records()))

    def statuses(self) -> list[bytes]:
        """Return what stood in the status topic, one after the other."""
        return [payload for topic, payload in list(self.messages) if topic.endswith("/status")]

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()
