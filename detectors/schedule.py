"""The learning rate over the steps of a run."""

from __future__ import annotations

import math

from detectors.train_options import TrainOptions

# The cosine ends at this share of the peak.
FINAL_RATE = 0.02
# The step goes down to this share, as in the published configuration.
DECAYED_RATE = 0.1


def rate_at(step: int, options: TrainOptions) -> float:
    """Return the share of the peak learning rate at a step.

    After a linear rise over ``options.warmup`` steps, "cosine" is half a cosine down, and "step" is
    constant up to its one fall.

    Args:
        step: Steps done before, from 0.
        options: The run's schedule.
    """
    if step < options.warmup:
        return (step + 1) / options.warmup
    if options.schedule == "step":
        return 1.0 if step < options.decay_at * options.steps else DECAYED_RATE
    progress = (step - options.warmup) / max(1, options.steps - options.warmup)
    return FINAL_RATE + (1 - FINAL_RATE) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
