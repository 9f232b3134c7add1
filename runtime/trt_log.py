"""What TensorRT logs as errors: its calls say only that they failed."""

from __future__ import annotations

import functools
from collections import deque
from typing import Any

# The latest; a message quotes what one call logged, which is rarely more than three.
MAX_MESSAGES = 10


class ErrorLog:
    """Keeps errors and drops everything else. Get it from ``error_log``.

    Attributes:
        logger: For TensorRT's ``Runtime`` and ``Builder``.
    """

    def __init__(self, api: Any) -> None:
        self._messages: deque[str] = deque(maxlen=MAX_MESSAGES)
        self.logger = _collecting_logger(api, self._messages)

    def take(self) -> str:
        """Return the errors since the last call, as one line for a message."""
        return "; ".join(self.take_messages()) or "it logged no reason"

    def take_messages(self) -> list[str]:
        """Return the errors since the last call, each once."""
        reasons = []
        while self._messages:  # another thread may log meanwhile
            reasons.append(self._messages.popleft())
        return list(dict.fromkeys(reasons))


@functools.cache
def error_log(api: Any) -> ErrorLog:
    """Return the one log of a TensorRT module: it keeps the first logger that it is ever given."""
    return ErrorLog(api)


def _collecting_logger(api: Any, messages: deque[str]) -> Any:
    class CollectingLogger(api.ILogger):  # type: ignore[misc]  # known only once api is loaded
        def __init__(self) -> None:
            super().__init__()

        def log(self, severity: Any, message: str) -> None:
            if severity.value <= api.ILogger.Severity.ERROR.value:
                messages.append(" ".join(message.split()))

    return CollectingLogger()
