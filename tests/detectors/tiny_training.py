"""A run of a few steps on tiny images, for the tests of training."""

from __future__ import annotations

from detectors.trainer import TrainOptions

TINY_OPTIONS = TrainOptions(
    model="cornernet-nano",
    size_hw=(64, 64),
    steps=4,
    batch=2,
    rate=1e-3,
    warmup=2,
    bfloat16=False,
    vertical_flip=True,
    zoom_chance=0.25,
    embedding_weight=0.1,
    seed=3,
)
