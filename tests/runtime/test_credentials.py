"""Passwords in addresses: taken apart, filled in from the environment, and never shown."""

from __future__ import annotations

import pytest

from runtime.credentials import expand_environment, parse_address, redact_address
from runtime.errors import UsageError

HARD = "p@s/s:w#o?r d%2F\"'$"


def test_an_address_is_taken_apart() -> None:
    camera = parse_address("rtsp://admin:geheim@10.0.0.5:8554/live/1?channel=2")
    assert camera.location == "rtsp://10.0.0.5:8554/live/1?channel=2"
    assert (camera.user, camera.password) == ("admin", "geheim")
    assert camera.with_login == "rtsp://admin:geheim@10.0.0.5:8554/live/1?channel=2"


def test_an_address_without_login_stays_as_it_is() -> None:
    camera = parse_address("http://camera.local/video")
    assert (camera.user, camera.password) == (None, None)
    assert camera.location == camera.with_login == "http://camera.local/video"


@pytest.mark.parametrize(
    ("login", "user", "password"),
    [
        ("admin@", "admin", None),
        ("admin:@", "admin", ""),
        (":geheim@", "", "geheim"),
        ("a%20b:p%40%2F@", "a b", "p@/"),
        ("admin:p@ss@", "admin", "p@ss"),
    ],
)
def test_logins_of_every_kind(login: str, user: str, password: str | None) -> None:
    camera = parse_address(f"rtsp://{login}host/x")
    assert (camera.user, camera.password) == (user, password)
    assert camera.location == "rtsp://host/x"
    assert parse_address(camera.with_login) == camera or login == "admin:p@ss@"


def test_an_address_of_ip_version_6_keeps_its_brackets() -> None:
    assert parse_address("rtsp://u:geheim@[::1]:554/x").location == "rtsp://[::1]:554/x"


@pytest.mark.parametrize(
    "address",
    [
        "rtsp://",
        "rtsp:///path",
        "rtsp://u:geheim@",
        "rtsp://u:geheim@host:port/x",
        "rtsp://u:geheim@host:99999/x",
        "rtsp://u:geheim@[::1/x",
        "rtsp://u:geheim/1@host/x",
        "rtsp://u:geheim@ho st/x",
    ],
)
def test_a_malformed_address_is_one_line_without_the_password(address: str) -> None:
    with pytest.raises(UsageError, match=r"got the address .*; expected one such as") as caught:
        parse_address(address)
    assert "geheim" not in str(caught.value)


def test_no_representation_shows_the_password() -> None:
    camera = parse_address("rtsp://admin:geheim@host/x?token=verborgen")
    assert "geheim" not in repr(camera)
    assert "verborgen" not in repr(camera)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://u:geheim@host/x", "rtsp://u:***@host/x"),
        ("rtsp://u:ge@he/im@host/x", "rtsp://u:***@host/x"),
        ("rtsp://u@host/x", "rtsp://u@host/x"),
        ("http://h/v.cgi?usr=a&pwd=geheim&res=1", "http://h/v.cgi?usr=a&pwd=***&res=1"),
        ("http://h/v?Password=geheim", "http://h/v?Password=***"),
        ("http://h/v?access=1&api_key=geheim#x", "http://h/v?access=1&api_key=***#x"),
        ("http://h/v?keyframe=1", "http://h/v?keyframe=1"),
        ("two: rtsp://u:geheim@a rtsp://u:geheim@b", "two: rtsp://u:***@a rtsp://u:***@b"),
        ("no address: user@host", "no address: user@host"),
        ("", ""),
    ],
)
def test_passwords_are_hidden_in_any_text(text: str, shown: str) -> None:
    assert redact_address(text) == shown


def test_foreign_text_is_scrubbed_of_every_form_of_the_password() -> None:
    camera = parse_address("rtsp://admin:p%40ss%2Fword@host/x?token=verborgen")
    said = "open p@ss/word p%40ss%2Fword p%40ss/word rtsp://admin:other@host verborgen"
    assert camera.scrub(said) == "open *** *** *** rtsp://admin:***@host ***"


def test_a_short_password_leaves_words_readable() -> None:
    camera = parse_address("rtsp://admin:a@host/x")
    assert camera.scrub("camera a failed: 'a'") == "camera *** failed: '***'"


def test_variables_of_the_environment_are_filled_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMERA_PASSWORD", HARD)
    monkeypatch.setenv("CAMERA_HOST", "10.0.0.5:8554")
    camera = parse_address("rtsp://admin:${CAMERA_PASSWORD}@${CAMERA_HOST}/live")
    assert camera.password == HARD
    assert camera.location == "rtsp://10.0.0.5:8554/live"
    assert HARD not in camera.scrub(f"got {HARD}!")


def test_a_whole_address_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMERA", "rtsp://u:p%40@host/x")
    assert expand_environment("${CAMERA}") == "rtsp://u:p%40@host/x"
    assert expand_environment("rtsp://host/$x{y}") == "rtsp://host/$x{y}"


def test_a_value_is_not_expanded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTER", "${INNER}")
    assert expand_environment("http://host/${OUTER}") == "http://host/${INNER}"


def test_a_variable_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CAMERA_PASSWORD", raising=False)
    with pytest.raises(UsageError, match="'CAMERA_PASSWORD', which is not set; set it"):
        expand_environment("rtsp://u:${CAMERA_PASSWORD}@host/x")
