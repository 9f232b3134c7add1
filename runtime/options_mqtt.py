"""Whether to send results to an MQTT broker, which of them, and where they wait for it."""

from __future__ import annotations

import argparse
import enum
from dataclasses import dataclass, field
from pathlib import Path

from runtime.command_line import positive
from runtime.errors import UsageError
from runtime.option_types import add_group, number_from
from runtime.option_values import one_of, size_in_bytes

QUEUE_BYTES = 50_000_000  # a quarter of an hour of four cameras at 30 FPS, two boxes each
SMALLEST_QUEUE_BYTES = 1_000_000


class ResultChoice(enum.Enum):
    """Which results are sent; values are the command line's."""

    ALL = "all"
    DETECTIONS = "detections"  # leaves out pictures on which nothing was found


@dataclass(frozen=True)
class MqttOptions:
    """Results over MQTT.

    Attributes:
        mqtt: Address of the broker, not yet looked at; None for no MQTT. Not part of the
            representation, because it may hold a password.
        mqtt_ca: Certificates that an mqtts:// broker's must come from; None for the system's.
        mqtt_client_id: Name towards the broker; None for one of this machine and a random part.
        mqtt_results: Which ones.
        mqtt_every: Of these, one of so many is sent, for each camera.
        mqtt_rate: Of these, at most so many per second and camera; None for no limit.
        mqtt_queue: Folder where results wait for the broker; None to wait in memory.
        mqtt_queue_size: Bytes that they may take there.

    Raises:
        UsageError: On creation, if values contradict each other.
    """

    mqtt: str | None = field(default=None, repr=False)
    mqtt_ca: Path | None = None
    mqtt_client_id: str | None = None
    mqtt_results: ResultChoice = ResultChoice.ALL
    mqtt_every: int = 1
    mqtt_rate: float | None = None
    mqtt_queue: Path | None = None
    mqtt_queue_size: int = QUEUE_BYTES

    def __post_init__(self) -> None:
        """Check what argparse cannot."""
        if self.mqtt is None:
            for option, value in (("--mqtt-queue", self.mqtt_queue), ("--mqtt-ca", self.mqtt_ca)):
                if value is not None:
                    raise UsageError(f"{option} was given without --mqtt; add --mqtt mqtt://HOST")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add these options."""
    add = add_group(parser, "mqtt").add_argument
    add(
        "--mqtt",
        metavar="mqtt://[USER:PASSWORD@]HOST[:PORT][/PREFIX]",
        help="send results to PREFIX/CAMERA/detections of this broker, mqtts:// with TLS; write "
        "'${NAME}' for a password in an environment variable",
    )
    add("--mqtt-ca", metavar="FILE", type=Path, help="certificates to trust; default: the system's")
    add("--mqtt-client-id", metavar="NAME", help="default: cornerrt, this machine and a number")
    add(
        "--mqtt-results",
        metavar="all|detections",
        type=one_of(ResultChoice),
        default=ResultChoice.ALL,
        help="send all results, or those with detections only; default all",
    )
    add("--mqtt-every", metavar="N", type=positive, default=1, help="of these, send one of N")
    add(
        "--mqtt-rate",
        metavar="N",
        type=number_from(0.001),
        help="and of each camera at most N per second; default: no limit",
    )
    add(
        "--mqtt-queue",
        metavar="DIR",
        type=Path,
        help="where results wait while the broker is away, also when this program restarts; "
        "default: in memory",
    )
    add(
        "--mqtt-queue-size",
        metavar="SIZE",
        type=_queue_size,
        default=QUEUE_BYTES,
        help="what they may take, such as 50MB; when it is full the oldest are lost; default "
        f"{QUEUE_BYTES // 10**6}MB",
    )


def _queue_size(text: str) -> int:
    size = size_in_bytes(text)
    if size < SMALLEST_QUEUE_BYTES:
        raise argparse.ArgumentTypeError(
            f"got {text!r}; expected a size from {SMALLEST_QUEUE_BYTES // 10**6}MB, such as 50MB"
        )
    return size
