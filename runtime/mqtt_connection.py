"""The connection to an MQTT broker, through paho-mqtt: kept up, in order, at least once."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from runtime.errors import UsageError
from runtime.mqtt_address import MqttAddress

ONLINE, OFFLINE = b"online", b"offline"
FIRST_WAIT_S, LONGEST_WAIT_S = 1, 30  # before the next attempt; doubled from one to the next
# A broker that is silent for so long is gone; also how long it may take to accept a login.
KEEPALIVE_S = 20
FAREWELL_S = 1.0  # for the broker to take "offline" at the end
END_S = 3.0  # for the network thread, which may be waiting for a name server


@dataclass(frozen=True)
class ConnectionOptions:
    """How to connect.

    Attributes:
        address: The broker.
        client_id: Name towards it; a second connection of the same name ends the first.
        ca_file: Certificates that the broker's must come from; None for the system's.
        keepalive_s: Longest silence.
    """

    address: MqttAddress
    client_id: str
    ca_file: Path | None = None
    keepalive_s: int = KEEPALIVE_S


class MqttConnection:
    """Sends messages with QoS 1, in order, and tells which ones the broker has.

    Messages that the broker has not acknowledged when the connection breaks are sent again first
    on the next one, by paho. ``send`` belongs to one thread; paho's own thread does all that may
    wait for the network.

    Args:
        options: How to connect.
        wake: Called, in any thread, when ``send`` or ``take_acknowledged`` may have become worth
            calling; must not wait.
        report: Takes a line for the user.

    Raises:
        UsageError: If the certificates cannot be read.
    """

    def __init__(
        self, options: ConnectionOptions, wake: Callable[[], None], report: Callable[[str], None]
    ) -> None:
        self._options = options
        self._wake = wake
        self._report = report
        self._acknowledged: deque[int] = deque()
        self._told: set[str] = set()  # what is wrong since the connection was last open
        # Held while a message is handed to paho, so that a connection that breaks at that moment
        # is not replaced before paho knows the message: its order would be lost.
        self._gate = threading.Lock()
        self._is_open = False
        self._is_closing = False
        self._status_mid: int | None = None  # "online", on its way
        self._client = self._make_client()

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent now."""
        return self._is_open

    @property
    def has_problem(self) -> bool:
        """Whether the broker could not be reached since messages could last be sent."""
        return bool(self._told)

    def start(self) -> None:
        """Begin to connect, in the background and until ``close``."""
        address = self._options.address
        self._client.connect_async(address.host, address.port, self._options.keepalive_s)
        self._client.loop_start()

    def send(self, topic: str, payload: bytes) -> int | None:
        """Hand a message to the network; returns its id, or None if there is no connection.

        Raises:
            ValueError: If the topic is none.
        """
        with self._gate:
            if not self._is_open:
                return None
            return self._client.publish(topic, payload, qos=1).mid

    def take_acknowledged(self) -> list[int]:
        """Return the ids that the broker acknowledged since the last call."""
        taken = []
        while self._acknowledged:
            taken.append(self._acknowledged.popleft())
        return taken

    def close(self) -> None:
        """Say "offline" and disconnect; takes a few seconds at most."""
        self._is_closing = True
        if self._is_open:
            self._is_open = False
            farewell = self._client.publish(
                self._options.address.status_topic, OFFLINE, qos=1, retain=True
            )
            # Closing a socket with answers that nobody has read throws away what was not sent yet.
            with contextlib.suppress(RuntimeError, ValueError):  # it broke at this very moment
                farewell.wait_for_publish(FAREWELL_S)
        self._client.disconnect()
        ending = threading.Thread(target=self._client.loop_stop, name="mqtt end", daemon=True)
        ending.start()
        ending.join(END_S)

    def _make_client(self) -> mqtt.Client:
        options, address = self._options, self._options.address
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=options.client_id)
        # No limit of paho's own: who sends keeps count, and paho never has to hold back a message.
        client.max_inflight_messages_set(0)
        client.reconnect_delay_set(FIRST_WAIT_S, LONGEST_WAIT_S)
        client.will_set(address.status_topic, OFFLINE, qos=1, retain=True)
        if address.username is not None:
            client.username_pw_set(address.username, address.password)
        if address.is_tls:
            try:
                client.tls_set(str(options.ca_file) if options.ca_file else None)
            except OSError as error:  # includes ssl.SSLError
                raise UsageError(
                    f"--mqtt-ca {options.ca_file} cannot be used ({error.strerror or error}); "
                    "expected certificates in PEM format; give the file of the broker's authority"
                ) from None
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        return client

    # All below run in paho's thread, with locks of paho's held: they must not wait.

    def _on_connect(
        self,
        client: mqtt.Client,
        _userdata: object,
        _flags: mqtt.ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            self._tell(f"refuses the login ({reason})", "check user, password and client id")
        elif self._is_closing:
            client.disconnect()  # it was connecting while ``close`` was called
        elif self._status_mid is None:
            topic = self._options.address.status_topic
            self._status_mid = client.publish(topic, ONLINE, qos=1, retain=True).mid

    def _on_publish(
        self,
        _client: mqtt.Client,
        _userdata: object,
        mid: int,
        _reason: ReasonCode,
        _properties: Properties,
    ) -> None:
        if mid == self._status_mid:
            # Paho sends what is left from the last connection after _on_connect and before it
            # reads this answer: new messages may follow now.
            self._status_mid = None
            self._is_open = not self._is_closing
            if self._told and self._is_open:
                self._told.clear()
                self._report(f"MQTT broker {self._options.address} is back")
        else:
            self._acknowledged.append(mid)
        self._wake()

    def _on_disconnect(
        self,
        _client: mqtt.Client,
        _userdata: object,
        _flags: mqtt.DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        with self._gate:
            was_open, self._is_open = self._is_open, False
        if was_open or not self._told:
            what = "ended the connection" if was_open else "did not accept the connection"
            self._tell(f"{what} ({reason})", "check that it runs")
        self._wake()

    def _on_connect_fail(self, _client: mqtt.Client, _userdata: object) -> None:
        error = sys.exc_info()[1]  # paho calls from where it caught it, and does not pass it on
        detail = getattr(error, "verify_message", "") or getattr(error, "strerror", "") or error
        self._tell(f"cannot be reached ({detail})", "check its address and that it runs")

    def _tell(self, what: str, hint: str) -> None:
        """Report each reason once, until the connection is open again."""
        if what not in self._told and not self._is_closing:
            self._told.add(what)
            self._report(
                f"MQTT broker {self._options.address} {what}; results wait and it is tried again; "
                f"{hint}"
            )
