"""A network in training: one optimizer step, and everything that takes part in it.

Source: CornerNet, arXiv:1808.01244, section 4.1 (Adam, the weighted sum of losses).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from detectors.averaging import WeightAverage
from detectors.batches import Batch
from detectors.fake_quantize import check_weights, fake_quantize
from detectors.initial_weights import load_initial_weights
from detectors.normalise import normalise
from detectors.objectives import IMAGE, IMAGE_ID, find_objective, loss_weights
from detectors.processes import OneProcess
from detectors.registry import DetectorSpec, build_detector, find_spec
from detectors.schedule import rate_at
from detectors.train_options import TrainOptions
from runtime.errors import TrainingError, UsageError

GRADIENT = "gradient"


class Trainer:
    """A network with its optimizer and averaged weights.

    Args:
        options: What to train.
        num_classes: Classes of the dataset.
        processes: Those that train together; this one alone by default.
        network: Trained instead of the registry's ``options.model``, whose maps and sizes it must
            have.
        channels_last: Whether images and weights lie channels-last in memory.

    Attributes:
        network: The network in training.
        average: Its averaged weights.
        step: Optimizer steps done.
        rate: Learning rate of the last of them.
    """

    def __init__(
        self,
        options: TrainOptions,
        num_classes: int,
        processes: OneProcess | None = None,
        network: nn.Module | None = None,
        channels_last: bool = True,
    ) -> None:
        torch.manual_seed(options.seed)
        self.options = options
        self.spec: DetectorSpec = find_spec(options.model)
        self.processes = processes or OneProcess(torch.device("cpu"))
        self.device = self.processes.device
        check_precision(options, self.device)
        self._layout = torch.channels_last if channels_last else torch.contiguous_format
        network = network if network is not None else build_detector(options.model, num_classes)
        if options.plan:
            fake_quantize(network, options.plan)
        self.network = network.train().to(self.device, memory_format=self._layout)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=options.rate)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=options.precision == "float16")
        self.average = WeightAverage(self.network, options.average_decay)
        self.step = 0
        self.rate = 0.0
        self._loss = find_objective(self.spec).loss
        self._loss_weights = loss_weights(options)
        self._distributed = self.processes.distribute(self.network)

    def begin_with(self, weights: Path, class_names: tuple[str, ...]) -> str:
        """Start from the weights of another run instead of random ones.

        Returns:
            What was kept of them, in one line; see ``detectors.initial_weights``.

        Raises:
            CheckpointError: If they cannot be read or belong to another model.
            CalibrationError: If they do not fit the grids of ``options.plan``.
        """
        kept = load_initial_weights(self.network, weights, class_names)
        check_weights(self.network)
        self.average.network.load_state_dict(self.network.state_dict())
        return kept

    def train_step(self, batches: Iterator[Batch]) -> dict[str, float]:
        """Learn from the next ``options.accumulate`` micro-batches of every process.

        Args:
            batches: This process's micro-batches, from ``load_batches``.

        Returns:
            The losses, means over micro-batches and processes, and the gradient's length.

        Raises:
            TrainingError: If a loss or the gradient is not finite; the weights did not change.
            UsageError: If batch normalisation has a single value to work with.
        """
        self.rate = self.options.rate * rate_at(self.step, self.options)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate
        self.optimizer.zero_grad(set_to_none=True)
        records, image_ids = self._gather_gradients(batches)
        self.scaler.unscale_(self.optimizer)
        parameters = [p for p in self.network.parameters() if p.grad is not None]
        norm = nn.utils.get_total_norm([p.grad for p in parameters])
        means = self._mean_over_processes(records, norm)
        self._require_finite(means, records, image_ids)
        limit = self.options.max_gradient_norm
        if limit and not means[GRADIENT] <= limit:  # a product with 1 would cost as much
            nn.utils.clip_grads_with_norm_(parameters, limit, norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.step += 1
        self.average.update(self.step)
        return means

    def _gather_gradients(
        self, batches: Iterator[Batch]
    ) -> tuple[list[dict[str, Tensor]], list[Tensor]]:
        """Run the micro-batches forwards and backwards; returns their losses and image ids."""
        records, image_ids = [], []
        for micro_batch in range(1, self.options.accumulate + 1):
            batch = {
                name: value.to(self.device, non_blocking=True)
                for name, value in next(batches).items()
            }
            if micro_batch < self.options.accumulate:
                with self.processes.without_exchange(self._distributed):
                    losses = self._forward_backward(batch)
            else:
                losses = self._forward_backward(batch)
            records.append({name: value.detach() for name, value in losses.items()})
            image_ids.append(batch[IMAGE_ID])
        return records, image_ids

    def _forward_backward(self, batch: Batch) -> dict[str, Tensor]:
        """Add the gradients of one micro-batch to those of the step."""
        images = normalise(batch[IMAGE], self.spec).contiguous(memory_format=self._layout)
        targets = {key: value for key, value in batch.items() if key not in (IMAGE, IMAGE_ID)}
        precision: Any = getattr(torch, self.options.precision)
        with torch.autocast(
            self.device.type, precision, enabled=self.options.precision != "float32"
        ):
            outputs = self._forward(images)
        losses = self._loss(outputs, targets, self._loss_weights)
        self.scaler.scale(losses["total"] / self.options.accumulate).backward()
        return losses

    def _forward(self, images: Tensor) -> Any:
        """Return the maps of every stack."""
        try:
            return self._distributed(images)
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            height, width = self.options.size_hw
            raise UsageError(
                f"batch normalisation got a single value per channel, as {len(images)} image of "
                f"{height}x{width} goes through the network at once; expected more; take a larger "
                "--batch or --size, or a smaller --accumulate"
            ) from None

    def _mean_over_processes(
        self, records: list[dict[str, Tensor]], norm: Tensor
    ) -> dict[str, float]:
        """Return what a step reports; all figures cross from the device at once."""
        names = list(records[0])
        table = torch.stack([torch.stack(list(record.values())) for record in records])
        values = torch.cat([table.mean(0), norm.float().reshape(1)]).tolist()
        return dict(zip([*names, GRADIENT], self.processes.mean(values), strict=True))

    def _require_finite(
        self,
        means: dict[str, float],
        records: list[dict[str, Tensor]],
        image_ids: list[Tensor],
    ) -> None:
        """Stop before a bad batch reaches the weights."""
        wrong = [name for name, value in means.items() if not math.isfinite(value)]
        if self.options.precision == "float16" and wrong == [GRADIENT]:
            return  # the scaler leaves this step out and takes a smaller factor
        if not wrong:
            return
        own = [
            int(image_id)
            for record, ids in zip(records, image_ids, strict=True)
            if wrong == [GRADIENT] or not all(value.isfinite() for value in record.values())
            for image_id in ids
        ]
        ids = ", ".join(str(image_id) for image_id in sorted(self.processes.gather(own)))
        losses = [name for name in wrong if name not in (GRADIENT, "total")] or wrong
        raise TrainingError(
            f"step {self.step + 1} has no finite {' and '.join(losses)} on the images with id "
            f"{ids}; expected finite losses; look at these images and their boxes, or take a lower "
            "--rate"
        )


def check_precision(options: TrainOptions, device: torch.device) -> None:
    """Refuse what a device cannot compute in.

    Raises:
        UsageError: If the precision is float16 without a GPU.
    """
    if options.precision == "float16" and device.type != "cuda":
        raise UsageError(
            f"--precision float16 needs a GPU, and this run is on {device.type}; expected bfloat16 "
            "or float32 there; choose one"
        )
