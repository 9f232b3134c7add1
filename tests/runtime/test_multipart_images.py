"""Pictures out of a multipart stream: cut anywhere, lied about, endless."""

from __future__ import annotations

import random

import pytest

from runtime import multipart_images
from runtime.multipart_images import MultipartParser, is_whole_jpeg
from tests.fakes.mjpeg_server import jpeg, part, part_with_length

PICTURES = [jpeg(value) for value in (10, 120, 240)]


def parse(stream: bytes, piece: int = 10**9, boundary: str = "frame") -> list[bytes]:
    parser, parts = MultipartParser(boundary), []
    for start in range(0, len(stream), piece):
        parts += parser.feed(stream[start : start + piece])
    return parts


@pytest.mark.parametrize("make", [part, part_with_length])
@pytest.mark.parametrize("piece", [1, 2, 7, 64, 10**9])
def test_parts_come_whole_however_the_stream_is_cut(make: object, piece: int) -> None:
    stream = b"".join(make(picture) for picture in PICTURES)  # type: ignore[operator]
    parts = parse(stream + b"--frame", piece)
    assert [content.rstrip(b"\r\n") for content in parts] == PICTURES


def test_a_stated_length_gives_the_picture_before_the_next_one_begins() -> None:
    parser = MultipartParser("frame")
    stream = part_with_length(PICTURES[0])
    assert parser.feed(stream[:-3]) == []
    assert parser.feed(stream[-3:-2]) == [PICTURES[0]]
    assert parser.feed(stream[-2:] + part_with_length(PICTURES[1])) == [PICTURES[1]]


def test_without_a_length_the_next_boundary_ends_a_picture() -> None:
    parser = MultipartParser("frame")
    assert parser.feed(part(PICTURES[0])) == []
    (content,) = parser.feed(b"--frame")
    assert content.rstrip(b"\r\n") == PICTURES[0]


@pytest.mark.parametrize("lie", [0, 1, 100, 999_999_999])
def test_a_wrong_length_is_not_believed(lie: int) -> None:
    stream = b"".join(part_with_length(picture, lie) for picture in PICTURES)
    parts = [content.rstrip(b"\r\n") for content in parse(stream + b"--frame", 100)]
    assert parts == PICTURES


def test_a_length_that_covers_the_next_picture_does_not_merge_them() -> None:
    second = part_with_length(PICTURES[1])
    merged = len(PICTURES[0]) + len(b"\r\n") + len(second) - len(b"\r\n")
    parts = parse(part_with_length(PICTURES[0], merged) + second)
    assert [content.rstrip(b"\r\n") for content in parts] == PICTURES[:2]


@pytest.mark.parametrize("stated", ["frame", "--frame", "----frame"])
def test_dashes_before_the_stated_boundary_do_not_matter(stated: str) -> None:
    assert len(parse(part_with_length(PICTURES[0]), boundary=stated)) == 1


def test_bare_line_feeds_and_no_headers_work() -> None:
    stream = b"--frame\n\n" + PICTURES[0] + b"\n--frame\n\n"
    assert [content.rstrip() for content in parse(stream)] == [PICTURES[0]]


def test_text_before_the_first_boundary_is_skipped() -> None:
    assert parse(b"welcome\r\n" * 1000 + part_with_length(PICTURES[0])) == [PICTURES[0]]


def test_a_short_boundary_may_occur_within_a_picture() -> None:
    picture = PICTURES[0][:-2] + b"--f--f" + b"\xff\xd9"
    stream = b"--f\r\n\r\n" + picture + b"\r\n--f\r\n"
    assert [content.rstrip() for content in parse(stream, boundary="f")] == [picture]


def test_the_end_is_recognised() -> None:
    parser = MultipartParser("frame")
    assert parser.feed(part_with_length(PICTURES[0]) + b"--frame--\r\n") == [PICTURES[0]]
    assert parser.has_ended
    assert parser.feed(part_with_length(PICTURES[1])) == []


@pytest.mark.parametrize("boundary", ["", "--"])
def test_an_empty_boundary_is_refused(boundary: str) -> None:
    with pytest.raises(ValueError, match="got an empty boundary"):
        MultipartParser(boundary)


@pytest.mark.parametrize(
    ("start", "endless", "message"),
    [
        (b"", b"x" * 10_000, "no boundary"),
        (b"--frame\r\n", b"X-Header: y\r\n" * 800, "headers are longer"),
        (b"--frame\r\n\r\n", b"x" * 10_000, "a part is longer"),
    ],
)
def test_what_never_ends_is_refused_and_bounded(
    monkeypatch: pytest.MonkeyPatch, start: bytes, endless: bytes, message: str
) -> None:
    monkeypatch.setattr(multipart_images, "MAX_PART_BYTES", 100_000)
    parser = MultipartParser("frame")
    parser.feed(start)
    with pytest.raises(ValueError, match=message):
        for _ in range(20):
            parser.feed(endless)
    assert len(parser._data) <= 110_000


def test_random_bytes_never_break_it() -> None:
    draw = random.Random(0)
    whole = b"".join(part_with_length(picture) for picture in PICTURES)
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(draw.randrange(20)):
            data[draw.randrange(len(data))] = draw.randrange(256)
        del data[draw.randrange(len(data)) :]
        for content in parse(bytes(data), draw.randrange(1, 500)):
            assert len(content) <= len(whole)


@pytest.mark.parametrize(
    ("data", "is_whole"),
    [
        (PICTURES[0], True),
        (PICTURES[0] + b"\0\0\r\n", True),
        (PICTURES[0][:-2], False),
        (PICTURES[0][: len(PICTURES[0]) // 2], False),
        (b"", False),
        (b"\xff\xd8", False),
        (b"<html>", False),
        (PICTURES[0][:-2] + PICTURES[1][:-2], False),
    ],
)
def test_only_a_jpeg_with_its_end_is_whole(data: bytes, is_whole: bool) -> None:
    assert is_whole_jpeg(data) is is_whole
