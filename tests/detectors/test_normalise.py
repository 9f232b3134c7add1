"""Tests of detectors/normalise.py."""

from __future__ import annotations

import numpy as np
import torch

from detectors.normalise import normalise
from detectors.registry import find_spec


def test_pixels_are_normalised_as_published():
    spec = find_spec("cornernet-saccade")
    frames = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 3), np.uint8)
    images = normalise(torch.from_numpy(frames), spec)
    want = (frames / 255 - np.array(spec.mean_bgr)) / np.array(spec.std_bgr)
    assert images.shape == (2, 3, 3, 4)
    assert images.dtype == torch.float32
    np.testing.assert_allclose(images.permute(0, 2, 3, 1), want, atol=1e-6)
