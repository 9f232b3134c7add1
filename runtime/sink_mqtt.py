"""Results as JSON to an MQTT broker, which may be away for a while."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from secrets import token_hex

from runtime.errors import OutputError, UsageError
from runtime.frames import FrameResult
from runtime.mqtt_address import MqttAddress, parse_address
from runtime.mqtt_queue import MessageQueue
from runtime.mqtt_sender import Connection, MqttSender
from runtime.options_mqtt import MqttOptions, ResultChoice
from runtime.records import record_from

DRAIN_S = 5.0  # at the end of a stream, for what the broker has not taken yet


class ResultFilter:
    """Chooses which results are sent; see ``MqttOptions``.

    Args:
        options: ``mqtt_results``, then ``mqtt_every`` of those, then ``mqtt_rate``.
    """

    def __init__(self, options: MqttOptions) -> None:
        self._options = options
        self._interval_ns = int(1e9 / options.mqtt_rate) if options.mqtt_rate else 0
        self._seen: dict[str, int] = {}
        self._due_ns: dict[str, int] = {}

    def wants(self, result: FrameResult) -> bool:
        """Say whether a result is sent, and count it."""
        options, camera = self._options, result.camera
        is_empty = len(result.detections) == 0
        if is_empty and options.mqtt_results is ResultChoice.DETECTIONS:
            return False
        seen = self._seen.get(camera, 0)
        self._seen[camera] = seen + 1
        if seen % options.mqtt_every:
            return False
        captured_ns = result.frame.captured_ns
        due_ns = self._due_ns.get(camera, captured_ns)
        if captured_ns < due_ns:
            return False
        # From when it was due, not from now, so that the mean is the rate; after a pause, anew.
        self._due_ns[camera] = max(due_ns, captured_ns - self._interval_ns) + self._interval_ns
        return True


class MqttSink:
    """Sends ``record_from(result)`` as JSON to ``PREFIX/CAMERA/detections``, with QoS 1.

    ``publish`` puts the message into a queue and never waits. Each message reaches the broker at
    least once and in order, as long as the queue has room for it: see ``MessageQueue``.

    Args:
        options: Which results to send.
        address: Where.
        queue: Where they wait.
        sender: Empties the queue; started here.
        report: Takes a line for the user.
    """

    name = "mqtt"
    needs_picture = False
    in_main_thread = False

    def __init__(
        self,
        options: MqttOptions,
        address: MqttAddress,
        queue: MessageQueue,
        sender: MqttSender,
        report: Callable[[str], None],
    ) -> None:
        self._address = address
        self._queue = queue
        self._sender = sender
        self._report = report
        self._filter = ResultFilter(options)
        self._is_ended = False
        sender.start()

    def publish(self, result: FrameResult) -> None:
        """Let one result wait for the broker.

        Raises:
            OutputError: If sending ended through a mistake of this program.
        """
        if self._sender.failure is not None:
            raise OutputError(f"sending results failed ({self._sender.failure}); please report it")
        if self._filter.wants(result):
            payload = json.dumps(record_from(result), separators=(",", ":")).encode()
            self._queue.put(self._address.detections_topic(result.camera), payload)
            self._sender.wake()

    def close(self) -> None:
        """Send what waits, for a few seconds at most, and keep the rest in ``--mqtt-queue``."""
        self._end(DRAIN_S)

    def discard(self) -> None:
        """Disconnect at once; what waits is kept as by ``close``."""
        self._end(0.0)

    def _end(self, within_s: float) -> None:
        if self._is_ended:
            return
        self._is_ended = True
        self._sender.close(within_s)
        waiting, dropped = self._queue.waiting, self._queue.dropped
        if waiting:
            where = "wait for the next start" if self._queue.is_kept else "are lost"
            self._report(f"--mqtt: {waiting} results that the broker did not take {where}")
        if dropped:
            self._report(f"--mqtt: {dropped} results were lost: the queue was full or damaged")


def open_mqtt_sink(options: MqttOptions, report: Callable[[str], None]) -> MqttSink | None:
    """Return the sink that the options ask for, or None.

    A broker that cannot be reached is no error: it is tried again until the sink is closed.

    Args:
        options: The broker, and what to send.
        report: Takes a line for the user, in any thread.

    Raises:
        UsageError: If the address or certificates cannot be used, or paho-mqtt is not installed.
    """
    if options.mqtt is None:
        return None
    address = parse_address(options.mqtt)
    if options.mqtt_ca is not None and not address.is_tls:
        raise UsageError(
            f"--mqtt-ca was given, but {address} is not encrypted; expected mqtts://, by default "
            "on port 8883; write --mqtt mqtts://..., or leave --mqtt-ca out"
        )
    connect = _connector(options, address, report)
    queue = MessageQueue(options.mqtt_queue, options.mqtt_queue_size, report)
    return MqttSink(options, address, queue, MqttSender(queue, connect), report)


def _connector(
    options: MqttOptions, address: MqttAddress, report: Callable[[str], None]
) -> Callable[[Callable[[], None]], Connection]:
    """Return what makes the connection, given what it calls to wake the sender."""
    try:
        from runtime.mqtt_connection import ConnectionOptions, MqttConnection
    except ImportError as error:
        raise UsageError(
            f"--mqtt needs paho-mqtt 2, which is not installed ({error}); pip install -e '.[mqtt]'"
        ) from None
    client_id = options.mqtt_client_id or f"cornerrt-{socket.gethostname()}-{token_hex(4)}"
    how = ConnectionOptions(address, client_id, options.mqtt_ca)
    return lambda wake: MqttConnection(how, wake, report)
