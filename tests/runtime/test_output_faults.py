"""One line about an output that cannot be written."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from runtime.errors import OutputError
from runtime.output_faults import explained


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "expected room on the disk; free some, or choose another --csv"),
        (errno.EFBIG, "expected room on the disk"),
        (errno.EROFS, "expected a folder of yours; choose another --csv"),
        (errno.EACCES, "expected a folder of yours"),
        (errno.ENOENT, "expected /data to stay; was it deleted, or its disk unplugged?"),
        (errno.EIO, "was it deleted, or its disk unplugged"),
        (errno.ELOOP, "expected a writable disk"),
    ],
)
def test_an_error_of_the_system_says_what_to_do(number: int, advice: str) -> None:
    with pytest.raises(OutputError) as caught, explained("csv", Path("/data/out.csv")):
        raise OSError(number, os.strerror(number))
    message = str(caught.value)
    assert message.startswith(f"--csv cannot write /data/out.csv ({os.strerror(number)}); ")
    assert advice in message
    assert "\n" not in message


def test_other_errors_and_success_pass() -> None:
    with explained("csv", Path("out.csv")):
        pass
    with pytest.raises(ValueError, match="mistake"), explained("csv", Path("out.csv")):
        raise ValueError("mistake")
