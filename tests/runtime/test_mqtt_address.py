"""Addresses of brokers, and names of topics."""

from __future__ import annotations

import pytest

from runtime.errors import UsageError
from runtime.mqtt_address import LONGEST_PREFIX, MqttAddress, parse_address, topic_level


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mqtt://broker", MqttAddress("broker", 1883, False, "cornerrt")),
        ("mqtts://broker", MqttAddress("broker", 8883, True, "cornerrt")),
        ("mqtt://broker:1/", MqttAddress("broker", 1, False, "cornerrt")),
        ("mqtt://[::1]:1883/a", MqttAddress("::1", 1883, False, "a")),
        ("mqtt://10.0.0.1/site/hall%202", MqttAddress("10.0.0.1", 1883, False, "site/hall 2")),
        ("mqtt://[fe80::1%eth0]", MqttAddress("fe80::1%eth0", 1883, False, "cornerrt")),
        ("mqtt://t\u00fcr_1.local", MqttAddress("t\u00fcr_1.local", 1883, False, "cornerrt")),
        ("mqtt://me@b/p", MqttAddress("b", 1883, False, "p", "me")),
        ("mqtt://me:a%40b%2Fc@b/p", MqttAddress("b", 1883, False, "p", "me", "a@b/c")),
    ],
)
def test_an_address_is_taken_apart(text: str, expected: MqttAddress) -> None:
    assert parse_address(text) == expected


def test_a_password_from_the_environment_may_hold_any_character(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MQTT_PASSWORD", "p@ss/w#rd?:%41 \u00e4")
    address = parse_address("mqtt://me:${MQTT_PASSWORD}@broker:1234/site")
    assert address.password == "p@ss/w#rd?:%41 \u00e4"
    assert (address.host, address.port, address.prefix) == ("broker", 1234, "site")


def test_a_variable_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MQTT_PASSWORD", raising=False)
    with pytest.raises(UsageError, match=r"^--mqtt .*'MQTT_PASSWORD', which is not set"):
        parse_address("mqtt://me:${MQTT_PASSWORD}@broker")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "broker",
        "broker:1883",
        "http://broker",
        "mqtt://",
        "mqtt://:1883",
        "mqtt://me:secret@",
        "mqtt://me:secret@broker:0",
        "mqtt://me:secret@broker:99999",
        "mqtt://me:secret@broker:port",
        "mqtt://ho st/",
        "mqtt://me:secret@ho st:1883",
        "mqtt://me:secret@ho%20st",
        "mqtt://me:secret@a,b",
        "mqtt://me:sec/ret@broker",
        "mqtt://me:sec#ret@broker",
        "mqtt://me:sec?ret@broker",
        "mqtt://me:secret@[::1",
        "mqtt://me:secret@b/a//b",
        "mqtt://me:secret@b/a/+",
        "mqtt://me:secret@b/%23",
        "mqtt://me:secret@b/$SYS",
        "mqtt://me:secret@b/a%00",
        "mqtt://me:secret@b/" + "a" * (LONGEST_PREFIX + 1),
        "mqtt://me:secret@" + "h" * 70,
    ],
)
def test_what_is_no_address_is_refused_in_one_line_without_the_password(text: str) -> None:
    with pytest.raises(UsageError, match=r"--mqtt got .* expected mqtt://") as caught:
        parse_address(text)
    message = str(caught.value)
    assert "\n" not in message
    assert "sec" not in message
    assert "ret" not in message.replace("secret", "")


def test_neither_text_nor_representation_holds_the_password() -> None:
    address = parse_address("mqtts://me:hunter2@[::1]/p")
    assert str(address) == "mqtts://[::1]:8883"
    assert "hunter2" not in repr(address)


@pytest.mark.parametrize(
    ("name", "level"),
    [
        ("camera 0", "camera 0"),
        ("gate", "gate"),
        ("T\u00fcr", "T\u00fcr"),
        ("a/b", "a%2Fb"),
        ("+", "%2B"),
        ("#1", "%231"),
        ("50%", "50%25"),
        ("a\x00b\n", "a%00b%0A"),
        ("\x85", "%C2%85"),
        ("\udc80", "%ED%B2%80"),  # of a file's name that is not UTF-8
    ],
)
def test_a_camera_name_becomes_one_level_of_a_topic(name: str, level: str) -> None:
    assert topic_level(name) == level
    topic_level(name).encode("utf-8")


def test_different_cameras_have_different_topics() -> None:
    address = parse_address("mqtt://b/site/1")
    names = ["a/b", "a_b", "a%2Fb", "a b"]
    topics = {address.detections_topic(name) for name in names}
    assert len(topics) == len(names)
    assert "site/1/a_b/detections" in topics
    assert address.status_topic == "site/1/status"
