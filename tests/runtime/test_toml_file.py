"""TOML files: what they say, and in which line."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.errors import UsageError
from runtime.toml_file import key_lines, read_toml

TEXT = '''# cameras of the yard

[sources]
camera = [
  "gate=rtsp://10.0.0.5/live",  # [not a table]
  "0",
]
camera-size = "1280x720"
note = """
[model]
score = 9
"""

["two words"]  # a header may be followed by a comment
a.b = 1
inline = { c = 1, d = [
  2,
] }
[[lines]]
x = 1
[outer.inner]
y = 2
'''


def write(path: Path, text: str | bytes) -> Path:
    file = path / "s.toml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


def test_every_key_has_the_line_in_which_it_begins() -> None:
    assert key_lines(TEXT) == {
        ("sources",): 3,
        ("sources", "camera"): 4,
        ("sources", "camera-size"): 8,
        ("sources", "note"): 9,
        ("two words",): 14,
        ("two words", "a"): 15,
        ("two words", "a", "b"): 15,
        ("two words", "inline"): 16,
        ("two words", "inline", "c"): 16,
        ("two words", "inline", "d"): 16,
        ("lines",): 19,
        ("lines", "x"): 20,
        ("outer",): 21,
        ("outer", "inner"): 21,
        ("outer", "inner", "y"): 22,
    }


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_lines_are_those_of_editors(tmp_path: Path, end: str) -> None:
    # U+2028 and U+0085 end a line for str.splitlines, and for no editor.
    text = f'a = "x\u2028y\u0085z"{end}{end}b = 1'
    file = read_toml(write(tmp_path, text))
    assert file.values == {"a": "x\u2028y\u0085z", "b": 1}
    assert file.lines == {("a",): 1, ("b",): 3}
    assert file.place("b") == f"{file.path}:3"


def test_empty_file_and_mark_of_byte_order(tmp_path: Path) -> None:
    assert read_toml(write(tmp_path, "")).lines == {}
    assert read_toml(write(tmp_path, b"\xef\xbb\xbfa = 1")).values == {"a": 1}


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("a = 1\nb = rtsp://host\n", 2, "Invalid value"),
        ("a = 1\na = 2\n", 2, "overwrite a value"),
        ("[a]\nx = 1\n\n[a]\n", 4, "Cannot declare"),
        ("a = 1\nb = [\n 1,\n 2\n", 2, "it has no end"),
        ("a = 1\n\nb = '''\n text\n\n", 3, "it has no end"),
        ("[a\nx = 1\n", 1, "Expected ']'"),
        ("a = 1\nb = \n", 2, "Invalid value"),
    ],
)
def test_syntax_errors_name_the_line(tmp_path: Path, text: str, line: int, reason: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        read_toml(path)
    message = str(caught.value)
    assert message.startswith(f"{path}:{line}: not TOML: ")
    assert reason in message
    assert "(at " not in message


def test_bytes_that_are_not_utf8_name_the_line(tmp_path: Path) -> None:
    path = write(tmp_path, b"a = 1\n# caf\xe9\n")
    with pytest.raises(UsageError, match=r"s\.toml:2: .* not UTF-8; save it as UTF-8"):
        read_toml(path)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read .*none\.toml \(No such file"):
        read_toml(tmp_path / "none.toml")
    with pytest.raises(UsageError, match=r"cannot read .* \(Is a directory\)"):
        read_toml(tmp_path)
