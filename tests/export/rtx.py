"""Whether TensorRT-RTX is here, for tests that compile with it."""

from __future__ import annotations

import pytest

from runtime.errors import BackendError
from runtime.trt_module import load_tensorrt_rtx

try:
    load_tensorrt_rtx()
    MISSING = ""
except BackendError as error:
    MISSING = str(error)

needs_rtx = pytest.mark.skipif(bool(MISSING), reason=MISSING)
