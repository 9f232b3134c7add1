"""Pictures are encoded once for all viewers, at their pace, and only while they look."""

from __future__ import annotations

import json
import threading

import cv2
import numpy as np
import pytest

from runtime import web_pictures
from runtime.web_pictures import PictureKey, PictureOptions, WebSink, fit_width, snapshot_jpeg
from tests.fakes.web_stream import FakeCamera, make_result

GATE = FakeCamera("gate", (240, 320))
KEY = PictureKey("gate")


@pytest.fixture
def sink() -> WebSink:
    return WebSink(PictureOptions(1000.0, 160, 80))


def decode(jpeg: bytes) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image


def test_nothing_is_encoded_while_nobody_looks(sink: WebSink) -> None:
    for _ in range(20):
        sink.publish(make_result(GATE))
    assert sink.encodes == 0
    assert sink.newer(KEY, 0) is None
    assert sink.result("gate") is not None


def test_many_viewers_cost_one_encode(sink: WebSink) -> None:
    woken: list[int] = []
    for viewer in range(8):
        sink.wait(KEY, 0, lambda viewer=viewer: woken.append(viewer))
    sink.publish(make_result(GATE))
    sink.publish(make_result(GATE))  # nobody has asked for a second
    assert woken == list(range(8))
    assert sink.encodes == 1
    assert sink.newer(KEY, 0) is sink.newer(KEY, 0)


def test_the_picture_and_its_boxes_belong_together(sink: WebSink) -> None:
    result = make_result(GATE, seconds=2.0)
    sink.wait(KEY, 0, lambda: None)
    sink.publish(result)
    picture = sink.newer(KEY, 0)
    assert picture is not None
    assert decode(picture.jpeg).shape == (120, 160, 3)
    record = json.loads(picture.record)
    assert record["image_hw"] == [240, 320]
    assert [row["track_id"] for row in record["detections"]] == [4, 17, None]
    assert picture.captured_ns == result.frame.captured_ns
    assert picture.age_ms > 0


def test_viewers_may_ask_for_drawn_boxes(sink: WebSink) -> None:
    drawn = PictureKey("gate", with_boxes=True)
    for key in (KEY, drawn):
        sink.wait(key, 0, lambda: None)
    result = make_result(GATE)
    before = result.frame.image.copy()
    sink.publish(result)
    plain, boxed = sink.newer(KEY, 0), sink.newer(drawn, 0)
    assert plain is not None
    assert boxed is not None
    assert np.abs(decode(plain.jpeg).astype(int) - decode(boxed.jpeg)).max() > 60
    assert np.array_equal(result.frame.image, before)


def test_pictures_keep_the_viewers_pace(sink: WebSink, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = WebSink(PictureOptions(10.0, 160, 80))
    now = 100.0
    monkeypatch.setattr(web_pictures.time, "monotonic", lambda: now)
    for _ in range(90):  # three seconds at 30 per second
        slow.wait(KEY, 10**9, lambda: None)
        slow.publish(make_result(GATE))
        now += 1 / 30
    assert 29 <= slow.encodes <= 32


def test_idle_time_entitles_to_no_burst(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = WebSink(PictureOptions(10.0, 160, 80))
    now = 1000.0
    monkeypatch.setattr(web_pictures.time, "monotonic", lambda: now)
    for _ in range(20):
        slow.wait(KEY, 10**9, lambda: None)
        slow.publish(make_result(GATE))
    assert slow.encodes <= 2


def test_a_new_viewer_of_a_silent_camera_gets_its_last_picture(sink: WebSink) -> None:
    sink.publish(make_result(GATE))
    sink.refresh(KEY)
    first = sink.newer(KEY, 0)
    sink.refresh(KEY)
    assert first is not None
    assert sink.newer(KEY, 0) is first
    assert sink.newer(KEY, first.serial) is None
    assert sink.encodes == 1


def test_who_asks_late_is_woken_at_once(sink: WebSink) -> None:
    woken = threading.Event()
    sink.publish(make_result(GATE))
    sink.refresh(KEY)
    sink.wait(KEY, 0, woken.set)
    assert woken.is_set()


def test_a_viewer_that_left_is_forgotten(sink: WebSink) -> None:
    woken = threading.Event()
    sink.wait(KEY, 0, woken.set)
    sink.forget(KEY, woken.set)
    sink.forget(KEY, woken.set)
    sink.publish(make_result(GATE))
    assert sink.encodes == 0
    assert not woken.is_set()


def test_cameras_do_not_mix(sink: WebSink) -> None:
    sink.wait(PictureKey("yard"), 0, lambda: pytest.fail("woken by another camera"))
    sink.publish(make_result(GATE))
    assert sink.encodes == 0
    assert sink.result("yard") is None


@pytest.mark.parametrize("end", ["close", "discard"])
def test_the_end_wakes_all(sink: WebSink, end: str) -> None:
    before, after = threading.Event(), threading.Event()
    sink.wait(KEY, 0, before.set)
    getattr(sink, end)()
    sink.wait(KEY, 0, after.set)
    assert sink.is_closed
    assert before.is_set()
    assert after.is_set()


def test_a_refresh_without_a_picture_does_nothing(sink: WebSink) -> None:
    sink.refresh(KEY)
    assert sink.encodes == 0


@pytest.mark.parametrize(
    ("size_hw", "width", "expected"),
    [
        ((100, 200), 200, (100, 200)),
        ((100, 200), 150, (75, 150)),
        ((90, 1000), 10, (1, 10)),
        ((3, 5000), 100, (1, 100)),
    ],
)
def test_fit_width(size_hw: tuple[int, int], width: int, expected: tuple[int, int]) -> None:
    image = np.full((*size_hw, 3), 77, np.uint8)
    smaller = fit_width(image, width)
    assert smaller.shape == (*expected, 3)
    assert (smaller == 77).all()
    assert (smaller is image) == (size_hw == expected)


def test_a_snapshot_has_full_size() -> None:
    result = make_result(GATE)
    plain = decode(snapshot_jpeg(result, with_boxes=False))
    assert plain.shape == (240, 320, 3)
    assert np.abs(plain.astype(int) - result.frame.image).mean() < 3
    boxed = decode(snapshot_jpeg(result, with_boxes=True))
    assert np.abs(boxed.astype(int) - result.annotated).mean() < 5
