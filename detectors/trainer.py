"""A network in training: its optimizer, its averaged weights, and what a resumed run needs.

Source: CornerNet, arXiv:1808.01244, section 4.1 (Adam, the weighted sum of losses).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from detectors.checkpoints import load_checkpoint
from detectors.losses import LossWeights, cornernet_loss
from detectors.predict import normalise
from detectors.registry import build_detector, find_spec
from runtime.atomic_file import replace_when_done
from runtime.errors import CheckpointError

# The learning rate ends at this share of its peak.
FINAL_RATE = 0.02
# Averaged weights look back over about 1 / (1 - this) steps.
AVERAGE_DECAY = 0.9985
# Gradients longer than this are shortened: a rare crowded batch must not undo an epoch.
MAX_GRADIENT_NORM = 20.0


@dataclass(frozen=True)
class TrainOptions:
    """Everything that determines a run; a resumed run must agree with the first.

    Attributes:
        model: Name in the registry.
        size_hw: Height and width of the network's input, in pixels.
        steps: Optimizer steps in all.
        batch: Images per step.
        rate: Peak learning rate of Adam.
        warmup: Steps over which the rate rises.
        bfloat16: Whether the network runs in bfloat16 (weights and losses stay float32).
        vertical_flip: Whether images are also turned upside down.
        zoom_chance: How often an image is zoomed; 0 for the last steps, on images as they are.
        embedding_weight: Factor of the pull and push losses; the paper's is 0.1.
        seed: Seed of weights, order and augmentation.
    """

    model: str
    size_hw: tuple[int, int]
    steps: int
    batch: int
    rate: float
    warmup: int
    bfloat16: bool
    vertical_flip: bool
    zoom_chance: float
    embedding_weight: float
    seed: int


class Trainer:
    """A model with its optimizer and averaged weights.

    Args:
        options: What to train.
        num_classes: Classes of the dataset.
    """

    def __init__(self, options: TrainOptions, num_classes: int) -> None:
        torch.manual_seed(options.seed)
        self.options = options
        self.spec = find_spec(options.model)
        self.model = build_detector(options.model, num_classes).train()
        self.model.to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=options.rate)
        self.average = {key: value.clone() for key, value in self.model.state_dict().items()}
        self.loss_weights = LossWeights(options.embedding_weight, options.embedding_weight)
        self.step = 0

    def begin_with(self, weights: Path) -> None:
        """Start from the weights of another run instead of random ones.

        Raises:
            CheckpointError: If they cannot be read or belong to another model.
        """
        load_checkpoint(self.model, weights)
        self.average = {key: value.clone() for key, value in self.model.state_dict().items()}

    def train_step(self, batch: dict[str, Tensor]) -> dict[str, float]:
        """Learn from one batch of ``TrainingSet`` items; returns the losses."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.options.rate * rate_at(self.step, self.options)
        images = normalise(batch.pop("image"), self.spec)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.options.bfloat16):
            outputs = self.model(images)
        losses = cornernet_loss(outputs, batch, self.loss_weights)
        self.optimizer.zero_grad(set_to_none=True)
        losses["total"].backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), MAX_GRADIENT_NORM)
        self.optimizer.step()
        self.step += 1
        self._update_average()
        return {name: float(value.detach()) for name, value in losses.items()}

    def _update_average(self) -> None:
        """Move the averaged weights towards the model; early on they follow faster."""
        decay = min(AVERAGE_DECAY, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for key, value in self.model.state_dict().items():
                if value.is_floating_point():
                    self.average[key].lerp_(value, 1 - decay)
                else:
                    self.average[key].copy_(value)

    def save(self, path: Path) -> None:
        """Write everything a resumed run needs, atomically."""
        state = {
            "options": asdict(self.options),
            "step": self.step,
            "model": self.model.state_dict(),
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
        }
        with replace_when_done(path) as partial:
            torch.save(state, partial)

    def restore(self, path: Path) -> None:
        """Continue from ``path``.

        Raises:
            CheckpointError: If the file is missing or damaged, or belongs to other options.
        """
        try:
            state = torch.load(path, weights_only=True)
        except FileNotFoundError:
            raise CheckpointError(f"no {path} to resume from; leave --resume away") from None
        except Exception as error:  # torch raises many kinds for a damaged file
            raise CheckpointError(f"cannot read {path} ({error}); leave --resume away") from None
        if not isinstance(state, dict) or "options" not in state:
            raise CheckpointError(f"{path} is no checkpoint of this command; leave --resume away")
        wanted = asdict(self.options)
        differing = sorted(k for k in wanted if state["options"].get(k) != wanted[k])
        if differing:
            raise CheckpointError(
                f"{path} was made with other options ({', '.join(differing)}); "
                "repeat them, or start in another --out"
            )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average = state["average"]
        self.step = state["step"]


def rate_at(step: int, options: TrainOptions) -> float:
    """Return the share of the peak learning rate: a linear rise, then half a cosine down."""
    if step < options.warmup:
        return (step + 1) / options.warmup
    progress = (step - options.warmup) / max(1, options.steps - options.warmup)
    return FINAL_RATE + (1 - FINAL_RATE) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
