"""The number of threads is restored, whatever happens."""

from __future__ import annotations

import pytest
import torch

from benchmarks.torch_threads import torch_threads


def test_threads_are_restored_after_an_error():
    before = torch.get_num_threads()
    with pytest.raises(RuntimeError, match="stop"), torch_threads(before + 1):
        assert torch.get_num_threads() == before + 1
        raise RuntimeError("stop")
    assert torch.get_num_threads() == before
