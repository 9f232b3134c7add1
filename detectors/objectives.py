"""What a detector learns from: the training set it wants, and its loss.

The trainer asks here and knows nothing of maps and targets. Both are those of its family, but for
detectors that look twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from detectors.augment import AugmentSpec, ZoomAugment
from detectors.augment_published import PublishedAugment
from detectors.dataset import Augmentation, CocoSet, TrainingSet
from detectors.families import Loss
from detectors.losses import LossWeights, saccade_loss
from detectors.registry import DetectorSpec
from detectors.saccade_augment import SaccadeAugment
from detectors.saccade_targets import SaccadeTargetSpec
from detectors.train_options import TrainOptions

# Items of a batch that are no targets.
IMAGE, IMAGE_ID = "image", "image_id"


@dataclass(frozen=True)
class Objective:
    """How a detector is trained.

    Attributes:
        training_set: Makes the set whose items hold ``image`` uint8 (H, W, 3) BGR, ``image_id`` and
            the targets.
        loss: Takes the network's outputs, the batch's targets and the weights of the parts; returns
            named scalars, ``total`` among them.
    """

    training_set: Callable[[TrainOptions, DetectorSpec, CocoSet], TrainingSet]
    loss: Loss


def find_objective(spec: DetectorSpec) -> Objective:
    """Return how a detector is trained."""
    return SACCADE if spec.attention_names else Objective(family_training_set, spec.family.loss)


def loss_weights(options: TrainOptions) -> LossWeights:
    """Return the factors of the parts of the loss."""
    return LossWeights(options.embedding_weight, options.embedding_weight, options.offset_weight)


def family_training_set(options: TrainOptions, spec: DetectorSpec, coco: CocoSet) -> TrainingSet:
    """Return augmented images with the targets of the detector's family."""
    output_hw = _output_hw(options, spec)
    targets = spec.family.targets(len(coco.class_names), options.size_hw, output_hw)
    return TrainingSet(coco, augmentation_of(options), targets, options.seed)


def saccade_training_set(options: TrainOptions, spec: DetectorSpec, coco: CocoSet) -> TrainingSet:
    """Return crops around objects with their targets, attention among them.

    The augmentation is the published one, whatever the options say: attention is learnt from
    objects at the sizes that it brings them to.
    """
    targets = SaccadeTargetSpec(len(coco.class_names), options.size_hw, _output_hw(options, spec))
    return TrainingSet(coco, SaccadeAugment(options.size_hw), targets, options.seed)


def _output_hw(options: TrainOptions, spec: DetectorSpec) -> tuple[int, int]:
    """Return the size of the heatmaps, in cells."""
    height, width = ((side + spec.size_remainder) // spec.stride_px for side in options.size_hw)
    return height, width


def augmentation_of(options: TrainOptions) -> Augmentation:
    """Return what changes the images."""
    if options.augmentation == "published":
        return PublishedAugment(options.size_hw)
    return ZoomAugment(
        AugmentSpec(
            options.size_hw, zoom_chance=options.zoom_chance, vertical_flip=options.vertical_flip
        )
    )


SACCADE = Objective(saccade_training_set, saccade_loss)
