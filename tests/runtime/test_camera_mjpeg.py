"""MJPEG over HTTP, from a server that behaves and from many that do not."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterable, Iterator

import pytest

from runtime.camera_mjpeg import MjpegSource, decode_jpeg
from runtime.credentials import parse_address
from runtime.errors import SourceError
from tests.fakes.mjpeg_server import (
    HEAD,
    Answer,
    MjpegServer,
    jpeg,
    part,
    part_with_length,
    steady,
)


@contextlib.contextmanager
def camera(answer: Answer, patience_s: float = 20.0) -> Iterator[MjpegSource]:
    with MjpegServer(answer) as server:
        source = MjpegSource("gate", parse_address(server.address), patience_s)
        try:
            yield source
        finally:
            source.close()


def stream(pieces: Iterable[bytes], head: str = HEAD, pause_s: float = 0.0) -> Answer:
    def answer(_request: bytes) -> Iterator[bytes]:
        yield head.encode()
        for piece in pieces:
            yield piece
            time.sleep(pause_s)

    return answer


def test_pictures_arrive_in_order() -> None:
    with camera(steady([jpeg(value) for value in (10, 100, 200)], rate=10)) as source:
        frames = [source.read() for _ in range(3)]
    assert [round(float(frame.image.mean()), -1) for frame in frames] == [10, 100, 200]
    assert [frame.sequence for frame in frames] == [0, 1, 2]
    assert frames[0].image.shape == (48, 64, 3)
    assert 0 < frames[0].captured_ns < frames[2].captured_ns
    assert source.is_live and source.stall_timeout_s == 20
    assert source.decoder == "OpenCV software (JPEG)"


def test_a_slow_reader_gets_the_newest_picture() -> None:
    pictures = [jpeg(value) for value in range(0, 250, 10)]
    with camera(steady([*pictures, *pictures[-1:] * 50], rate=100)) as source:
        source.read()
        time.sleep(0.5)  # all have come by now
        assert source.read().image.mean() > 200


def test_a_change_of_size_gives_pictures_of_the_new_size() -> None:
    with camera(steady([jpeg(9), jpeg(9, 120, 160)], rate=10)) as source:
        assert [source.read().image.shape[0] for _ in range(2)] == [48, 120]


@pytest.mark.parametrize("lie", [0, 10, 50_000])
def test_a_wrong_content_length_does_no_harm(lie: int) -> None:
    pieces = [part_with_length(jpeg(100), lie)] * 20
    with camera(stream(pieces, pause_s=0.02)) as source:
        assert abs(source.read().image.mean() - 100) < 3


def test_cut_and_damaged_pictures_are_left_out() -> None:
    whole, cut = jpeg(200), jpeg(10)[:-4]  # a decoder would fill the rest
    pieces = [part(cut), part(b"no picture"), part(b""), part_with_length(cut), part(whole)]
    with camera(stream(itertools.cycle(pieces), pause_s=0.005)) as source:
        for _ in range(5):
            assert source.read().image.mean() > 190


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (stream([]), "ended the stream"),
        (stream([part_with_length(jpeg(1))[:300]]), "ended the stream"),  # stops within a part
        (stream([b"--frame--\r\n"]), "ended the stream"),
        (stream([b"--frame\r\n" + b"X-Y: z\r\n" * 2000]), "headers are longer"),
    ],
)
def test_a_stream_that_ends_or_is_none_is_one_clear_line(answer: Answer, said: str) -> None:
    with camera(answer) as source:
        with pytest.raises(SourceError, match=f"gate failed: .*{said}.*; expected an MJPEG stream"):
            source.read()


@pytest.mark.parametrize(
    "pieces",
    [
        itertools.repeat(b"\x00garbage" * 1000),
        itertools.repeat(part_with_length(b"garbage" * 100)),
        [part_with_length(jpeg(1))[:300], *[b""] * 1000],
    ],
    ids=["garbage", "parts of garbage", "stops within a part"],
)
def test_a_stream_without_a_picture_is_a_stall(pieces: Iterable[bytes]) -> None:
    with camera(stream(pieces, pause_s=0.01), patience_s=0.5) as source:
        started = time.monotonic()
        with pytest.raises(SourceError, match=r"gate delivered no picture for 0\.5 s after 0 pict"):
            source.read()
        assert time.monotonic() - started < 8


def test_a_silence_after_pictures_is_a_stall() -> None:
    pieces = [part_with_length(jpeg(1)), *[b""] * 1000]
    with camera(stream(pieces, pause_s=0.01), patience_s=0.5) as source:
        source.read()
        with pytest.raises(SourceError, match="after 1 pictures; expected a steady stream"):
            source.read()


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n\r\n", "content of type image/jpeg"),
        ("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n", "content of type text/html"),
        ("HTTP/1.1 200 OK\r\n\r\n", "content of type text/plain"),
        ("HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace\r\n\r\n", "multipart/x-mixed"),
        (
            "HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=--\r\n\r\n",
            "multipart/x-mixed",
        ),
        ("HTTP/1.1 404 Not Found\r\n\r\n", "HTTP status 404 Not Found"),
        (
            'HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm="x"\r\n\r\n',
            "user or password is wrong",
        ),
        ("HTTP/1.1 500 \r\n\r\n", "HTTP status 500"),
        ("SSH-2.0-OpenSSH\r\n", "SSH-2.0"),
        ("", "closed connection"),
        ("HTTP/1.1 200 OK\r\n" + "X-Y: z\r\n" * 1000, "headers"),
    ],
)
def test_another_answer_is_one_clear_line_without_the_password(head: str, said: str) -> None:
    with MjpegServer(stream([], head)) as server:
        address = parse_address(server.address.replace("://", "://admin:geheim@"))
        with pytest.raises(SourceError, match=r"gate failed: .*; expected an MJPEG") as caught:
            MjpegSource("gate", address, 20)
    assert said in str(caught.value)
    assert "geheim" not in str(caught.value) and "\n" not in str(caught.value)


def test_a_camera_that_is_not_there_is_one_clear_line() -> None:
    with pytest.raises(SourceError, match=r"gate failed: .*refused; expected an MJPEG stream"):
        MjpegSource("gate", parse_address("http://127.0.0.1:1/x"), 20)


def test_a_camera_that_does_not_answer_is_one_clear_line() -> None:
    with MjpegServer(stream([], "")) as server:
        server._answer = lambda _request: iter(lambda: (time.sleep(0.05), b"")[1], None)
        with pytest.raises(SourceError, match="gate failed: timed out"):
            MjpegSource("gate", parse_address(server.address), 0.5)


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff\xd9", jpeg(1)[:-2], b"\xff\xd8" + b"\0" * 99])
def test_what_is_no_whole_jpeg_is_no_picture(data: bytes) -> None:
    assert decode_jpeg(data) is None


def test_closing_twice_does_no_harm() -> None:
    with camera(steady([jpeg(1)])) as source:
        source.read()
        source.close()
        source.close()
