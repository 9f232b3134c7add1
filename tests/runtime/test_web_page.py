"""The page in a real browser: what it shows, what it sends, what it does when things go wrong."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing

import numpy as np
import pytest

pytest.importorskip("starlette", reason="the web view's libraries: pip install -e '.[web]'")
pytest.importorskip("uvicorn", reason="the web view's libraries: pip install -e '.[web]'")

from runtime.options_web import ServeAddress, WebOptions
from runtime.source_state import SourceState
from runtime.web_pictures import WebSink
from runtime.web_view import OpenWebView, open_web_server, web_sink
from runtime.zones import Line, Zone
from tests.fakes.chromium import PHONE, Chromium, Screen, find_chromium, wait_until
from tests.fakes.web_stream import FakeCamera, FakeControl, FakeStream, draw_scene, make_result

TOKEN = "correct-horse-battery-staple"
PROGRAM = find_chromium()
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="needs a browser; Debian: chromium")
HOSTILE_NAME = "<img src=x onerror=document.title='taken'>"
LIVE = "document.querySelector('.tile[data-state=live][data-stale=false]')"
PIXEL = """(() => {
  const canvas = document.querySelector('canvas'), [x, y] = [%f, %f];
  const fit = Math.min(canvas.width / %d, canvas.height / %d);
  const left = (canvas.width - %d * fit) / 2, top = (canvas.height - %d * fit) / 2;
  const at = [Math.round(left + x * fit), Math.round(top + y * fit)];
  return [...canvas.getContext('2d').getImageData(...at, 1, 1).data.slice(0, 3)];
})()"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    assert PROGRAM is not None
    with Chromium(PROGRAM) as browser:
        yield browser


class Page:
    """A stream, its web view, and a browser that may look at it."""

    def __init__(self, browser: Chromium, *names: str, token: str | None = None) -> None:
        self.browser = browser
        self.control = FakeControl(*(FakeCamera(name, (180, 320)) for name in names))
        self._options = WebOptions(ServeAddress("127.0.0.1", 0), token, None, 30.0, 1280, 90)
        self._open()
        browser.open("about:blank")  # what an earlier page still complains about is not ours
        browser.evaluate("1")
        browser.console.clear()

    def _open(self) -> None:
        sink = web_sink(self._options)
        places = [
            Zone("yard", ((0.05, 0.05), (0.3, 0.05), (0.3, 0.3))),
            Line("door", ((0.9, 0.1), (0.9, 0.9))),
        ]
        view = open_web_server(self._options, sink, self.control, places)
        assert sink is not None
        assert view is not None
        self.sink: WebSink = sink
        self.view: OpenWebView = view

    def restart(self) -> None:
        """Close the server, wait until the page says so, and open it on the same port."""
        address = self.view.address
        self.view.close()
        self.browser.wait_for("document.querySelector('#link').dataset.state === 'lost'")
        assert "connection lost" in self.text("#link")
        self._options = WebOptions(address, None, None, 30.0, 1280, 90)
        self._open()

    def show(self, screen: Screen | None = None) -> None:
        self.browser.open(self.view.url, screen)
        self.browser.wait_for(LIVE)

    def text(self, selector: str) -> str:
        return str(self.browser.evaluate(f"document.querySelector({selector!r}).textContent"))

    def close(self) -> None:
        self.view.close()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def opened(stack: ExitStack, browser: Chromium, *names: str, streams: bool = True) -> Page:
    page = stack.enter_context(closing(Page(browser, *names)))
    if streams:
        stack.enter_context(FakeStream(page.control, page.sink, 20.0))
    return page


def test_picture_and_boxes_fit_each_other(stack: ExitStack, browser: Chromium) -> None:
    page = opened(stack, browser, "gate", streams=False)
    camera = page.control.cameras[0]
    page.sink.publish(make_result(camera))
    camera.rate.tick()
    browser.open(page.view.url)
    browser.wait_for("document.querySelector('.tile canvas')")
    height, width = camera.size_hw
    _, boxes = draw_scene(camera.size_hw, 0.0)
    left, top, right, bottom = (float(value) for value in boxes[0])

    def pixel(x: float, y: float) -> np.ndarray:
        return np.array(browser.evaluate(PIXEL % (x, y, width, height, width, height)))

    def is_orange(x: float, y: float) -> bool:  # the colour of class 0
        return bool(np.abs(pixel(x, y) - (255, 143, 38)).max() < 60)

    middle = (left + right) / 2, (top + bottom) / 2
    wait_until(lambda: is_orange(left, middle[1]), "a box")
    assert is_orange(right, middle[1])
    assert is_orange(middle[0], bottom)
    assert not is_orange(*middle)
    browser.evaluate("document.querySelector('[data-show=boxes]').click()")
    wait_until(lambda: not is_orange(left, middle[1]), "boxes can be hidden")
    browser.key("b", "KeyB")
    wait_until(lambda: is_orange(left, middle[1]), "and shown again, by a key")

    def has_line() -> bool:  # "door", white
        return bool(pixel(0.9 * width, 0.5 * height).min() > 200)

    wait_until(has_line, "a line")
    browser.evaluate("document.querySelector('[data-show=shapes]').click()")
    wait_until(lambda: not has_line(), "lines can be hidden")


def test_the_page_shows_the_stream(stack: ExitStack, browser: Chromium) -> None:
    page = opened(stack, browser, "gate")
    page.show()
    assert page.text("#model") == "cornernet-nano · int8 · tensorrt 10.13"
    assert page.text("#cameras td.state") == "live"
    assert "inference" in page.text("#stages")
    assert "in 0" in page.text("#counts")
    assert "fps" in page.text("figcaption .figures")
    browser.wait_for("document.querySelector('#fps-now').textContent > 0")
    link = browser.evaluate("document.querySelector('.snapshot').pathname")
    assert link == "/cameras/gate/snapshot.jpg"
    assert browser.console == []


def test_nothing_comes_from_elsewhere(stack: ExitStack, browser: Chromium) -> None:
    page = opened(stack, browser, "gate")
    page.show()
    loaded = browser.evaluate("performance.getEntriesByType('resource').map((r) => r.name)")
    assert loaded
    assert all(name.startswith(page.view.url) for name in loaded)
    blocked = "fetch('http://127.0.0.1:1/').then(() => false, () => true)"
    assert browser.evaluate(blocked)
    assert "Content Security Policy" in " ".join(browser.console)


def test_the_layout_does_not_jump(stack: ExitStack, browser: Chromium) -> None:
    page = opened(stack, browser, "gate")
    page.show()
    shift = (
        "new Promise((done) => { let sum = 0; new PerformanceObserver((list) => "
        "list.getEntries().forEach((e) => sum += e.value)).observe({type: 'layout-shift', "
        "buffered: true}); setTimeout(() => done(sum), 300); })"
    )
    assert browser.evaluate(shift) < 0.02


@pytest.mark.slow
def test_the_threshold_goes_both_ways(stack: ExitStack, browser: Chromium) -> None:
    page = opened(stack, browser, "gate")
    page.show()
    browser.evaluate(
        "(() => { const s = document.querySelector('#score'); s.value = 0.8; "
        "s.dispatchEvent(new Event('input')); })()"
    )
    assert page.text("#score-value") == "0.80"
    wait_until(lambda: page.control.score == 0.8, "the stream's threshold")
    page.control.score = 0.25  # by another viewer
    browser.wait_for("document.querySelector('#score').value === '0.25'")
    assert page.text("#score-value") == "0.25"


@pytest.mark.slow
def test_a_stalled_camera_is_marked(stack: ExitStack, browser: Chromium) -> None:
    page = opened(stack, browser, "gate", "yard")
    page.show()
    gate = page.control.cameras[0]
    gate.state, gate.problem = SourceState.STALLED, "gate delivered no picture for 5 s"
    browser.wait_for("document.querySelector('.tile').dataset.stale === 'true'")
    assert page.text(".stale").startswith("stalled, picture is ")
    assert page.text("#cameras .problem") == gate.problem
    assert page.text("#link").startswith("1 of 2 live")
    assert browser.evaluate("document.querySelectorAll('.tile')[1].dataset.stale") == "false"
    gate.state, gate.problem = SourceState.LIVE, ""
    browser.wait_for("document.querySelector('.tile').dataset.stale === 'false'")


@pytest.mark.slow
def test_old_pictures_are_marked_even_if_nobody_says_so(
    stack: ExitStack, browser: Chromium
) -> None:
    page = opened(stack, browser, "gate", streams=False)
    page.sink.publish(make_result(page.control.cameras[0]))
    browser.open(page.view.url)
    browser.wait_for("document.querySelector('.tile')?.dataset.stale === 'true'")
    assert page.text(".stale").startswith("stale, picture is ")


@pytest.mark.slow
def test_a_server_that_comes_back(stack: ExitStack, browser: Chromium) -> None:
    page = opened(stack, browser, "gate", streams=False)
    with FakeStream(page.control, page.sink):
        page.show()
    page.restart()
    with FakeStream(page.control, page.sink):
        browser.wait_for(LIVE)


@pytest.mark.slow
def test_cameras_can_be_chosen(stack: ExitStack, browser: Chromium) -> None:
    page = opened(stack, browser, "gate", "yard", "http://cam/x", HOSTILE_NAME)
    page.show()
    assert browser.evaluate("document.querySelectorAll('.tile').length") == 4
    browser.wait_for("document.querySelectorAll('.tile[data-stale=false]').length === 4")
    browser.evaluate("document.querySelectorAll('#picker button')[4].click()")
    browser.wait_for(LIVE)
    assert page.text(".tile b") == HOSTILE_NAME  # as text, not as what it says
    assert browser.evaluate("document.title") == "CornerRT"
    browser.key("3", "Digit3")
    browser.wait_for(LIVE)
    assert page.text(".tile b") == "http://cam/x"
    browser.key("0", "Digit0")
    assert browser.evaluate("document.querySelectorAll('.tile').length") == 4
    assert browser.console == []


@pytest.mark.parametrize("names", [("gate",), ("gate", "yard", "dock", "a long name of a camera")])
def test_on_a_phone(stack: ExitStack, browser: Chromium, names: tuple[str, ...]) -> None:
    page = opened(stack, browser, *names)
    page.show(Screen(PHONE, dark=True, is_phone=True))
    width = browser.evaluate("document.documentElement.scrollWidth")
    assert width == PHONE[0]
    assert browser.evaluate("document.querySelector('.tile').getBoundingClientRect().top < 200")


def test_everything_has_a_name(stack: ExitStack, browser: Chromium) -> None:
    page = opened(stack, browser, "gate", "yard")
    page.show()
    nameless = (
        "[...document.querySelectorAll('input, button, a, canvas')].filter((e) => "
        "!(e.labels?.length || e.textContent.trim() || e.getAttribute('aria-label')))"
        ".map((e) => e.outerHTML)"
    )
    browser.wait_for("document.querySelector('#fps-chart').getAttribute('aria-label')")
    assert browser.evaluate(nameless) == []


def test_browsers_that_cannot_read_streams_show_drawn_boxes(
    stack: ExitStack, browser: Chromium
) -> None:
    page = opened(stack, browser, "gate")
    script = {"source": "delete window.createImageBitmap"}
    added = browser.call("Page.addScriptToEvaluateOnNewDocument", script)
    try:
        browser.open(page.view.url)
        browser.wait_for("document.querySelector('.tile img')?.naturalWidth === 320")
        assert "boxes=1" in browser.evaluate("document.querySelector('.tile img').src")
    finally:
        browser.call("Page.removeScriptToEvaluateOnNewDocument", added)
        browser.open("about:blank")


def test_logging_in(stack: ExitStack, browser: Chromium) -> None:
    page = stack.enter_context(closing(Page(browser, "gate", token=TOKEN)))
    stack.enter_context(FakeStream(page.control, page.sink, 20.0))
    fill = (
        "(() => { const token = document.querySelector('#token'); token.value = %r; "
        "token.form.requestSubmit(); })()"
    )
    browser.open(page.view.url)
    browser.wait_for("document.querySelector('button')?.disabled === false")
    browser.evaluate(fill % "wrong")
    browser.wait_for("document.querySelector('#wrong')?.hidden === false")
    browser.evaluate(fill % TOKEN)
    browser.wait_for(LIVE)
    assert browser.evaluate("document.cookie") == ""
    assert TOKEN not in browser.evaluate("document.documentElement.outerHTML + location.href")


def test_the_token_leaves_the_address_bar(stack: ExitStack, browser: Chromium) -> None:
    page = stack.enter_context(closing(Page(browser, "gate", token=TOKEN)))
    stack.enter_context(FakeStream(page.control, page.sink, 20.0))
    browser.open(f"{page.view.url}?token={TOKEN}")
    browser.wait_for(LIVE)
    assert browser.evaluate("location.href") == page.view.url
    assert TOKEN not in str(browser.evaluate("JSON.stringify(history.state) + document.referrer"))


@pytest.mark.slow
def test_a_hidden_page_costs_nothing(stack: ExitStack, browser: Chromium) -> None:
    page = opened(stack, browser, "gate")
    page.show()
    browser.evaluate(
        "(() => { Object.defineProperty(document, 'hidden', {value: true}); "
        "document.dispatchEvent(new Event('visibilitychange')); })()"
    )

    def is_quiet() -> bool:
        before = page.sink.encodes
        time.sleep(0.3)
        return page.sink.encodes == before

    wait_until(is_quiet, "no more encoding")
