"""Options of MQTT."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.command_line import CommandParser
from runtime.errors import UsageError
from runtime.option_types import group_from
from runtime.options_mqtt import MqttOptions, ResultChoice, add_arguments


def parse(*arguments: str) -> MqttOptions:
    parser = CommandParser(prog="stream.py")
    add_arguments(parser)
    return group_from(MqttOptions, parser.parse_args(arguments))


def test_nothing_is_sent_unless_asked_for() -> None:
    assert parse() == MqttOptions()
    assert parse().mqtt is None


def test_every_option_is_taken() -> None:
    options = parse(
        *("--mqtt", "mqtts://b", "--mqtt-ca", "ca.pem", "--mqtt-client-id", "me"),
        *("--mqtt-results", "detections", "--mqtt-every", "3", "--mqtt-rate", "0.5"),
        *("--mqtt-queue", "q", "--mqtt-queue-size", "1.5GB"),
    )
    assert options == MqttOptions(
        mqtt="mqtts://b",
        mqtt_ca=Path("ca.pem"),
        mqtt_client_id="me",
        mqtt_results=ResultChoice.DETECTIONS,
        mqtt_every=3,
        mqtt_rate=0.5,
        mqtt_queue=Path("q"),
        mqtt_queue_size=1_500_000_000,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("--mqtt-results", "some"),
        ("--mqtt-every", "0"),
        ("--mqtt-rate", "0"),
        ("--mqtt-rate", "nan"),
        ("--mqtt-queue-size", "999999"),
        ("--mqtt-queue-size", "0MB"),
        ("--mqtt-queue-size", "many"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: tuple[str, str]) -> None:
    with pytest.raises(UsageError, match=f"{arguments[0]}: got '{arguments[1]}'; expected"):
        parse("--mqtt", "mqtt://b", *arguments)


@pytest.mark.parametrize("option", ["--mqtt-queue", "--mqtt-ca"])
def test_an_option_without_a_broker_is_refused(option: str) -> None:
    with pytest.raises(UsageError, match=f"{option} was given without --mqtt; add"):
        parse(option, "x")


def test_the_representation_holds_no_password() -> None:
    assert "hunter2" not in repr(parse("--mqtt", "mqtt://me:hunter2@b"))
