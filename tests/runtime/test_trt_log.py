"""What is kept of TensorRT's log."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from runtime.trt_log import MAX_MESSAGES, ErrorLog, error_log

INTERNAL, ERROR, WARNING = (SimpleNamespace(value=number) for number in range(3))


@pytest.fixture
def api() -> Any:
    """A module with a logger class whose constructor must run, as that of the bindings."""

    class ILogger:
        Severity = SimpleNamespace(ERROR=ERROR)

        def __init__(self) -> None:
            self.made = True

    module: Any = ModuleType("tensorrt")
    module.ILogger = ILogger
    return module


def test_errors_are_kept_until_they_are_taken(api: Any) -> None:
    log = ErrorLog(api)
    assert log.logger.made
    log.logger.log(WARNING, "a warning")
    log.logger.log(ERROR, "an error\n  on two lines ")
    log.logger.log(INTERNAL, "an internal error")
    assert log.take() == "an error on two lines; an internal error"
    assert log.take() == "it logged no reason"


def test_repeated_errors_are_said_once(api: Any) -> None:
    log = ErrorLog(api)
    for _ in range(3):
        log.logger.log(ERROR, "again")
    assert log.take() == "again"


def test_the_log_does_not_grow(api: Any) -> None:
    log = ErrorLog(api)
    for number in range(1000):
        log.logger.log(ERROR, str(number))
    assert log.take().split("; ") == [str(n) for n in range(1000 - MAX_MESSAGES, 1000)]


def test_a_module_has_one_log(api: Any) -> None:
    other: Any = ModuleType("tensorrt_rtx")
    other.ILogger = api.ILogger
    assert error_log(api) is error_log(api)
    assert error_log(api) is not error_log(other)
