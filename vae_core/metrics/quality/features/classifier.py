"""Features of a small classifier that was taught the labels of the run's own training images."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from vae_core.data.batches import batches_in_order
from vae_core.data.dataset import Dataset, ImageSet
from vae_core.errors import UserError
from vae_core.metrics.quality.features.kind import Features, content_of, digest_of, feature_kinds
from vae_core.metrics.quality.features.network import (
    SIZE,
    FeatureNetwork,
    keep_network,
    kept_network,
)
from vae_core.progress import Progress, no_progress

NAME = "classifier"
VERSION = "1"
STEPS, MOST_EPOCHS, BATCH, RATE = 1000, 40, 128, 3e-3

LEAST_GAIN = 0.2
"""Of what guessing the commonest label gets wrong, so much has to be right for features to say
something."""


class Classifier(nn.Module):
    """Images uint8 [B, C, H, W] → logits of labels [B, K], through the features."""

    def __init__(self, image_shape: tuple[int, int, int], labels: int) -> None:
        super().__init__()
        self.network = FeatureNetwork(image_shape)
        self.head = nn.Linear(SIZE, labels)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(functional.relu(self.network(images)))


def has_labels(dataset: Dataset) -> bool:
    """Whether there are two labels at least to be told apart."""
    labels = dataset.train.labels
    return labels is not None and len(np.unique(labels[labels >= 0])) > 1


@feature_kinds.register(
    NAME,
    label="Classifier of these labels",
    blurb="A small network taught here to tell the labels apart: what it looks at is what matters "
    "for these images.",
    suits=has_labels,
    order=0,
)
def classifier_features(dataset: Dataset, progress: Progress = no_progress) -> Features:
    """The classifier of a data set's labels, from the cache where it has been taught before.

    Equal images and labels give an equal network, whatever run they are of: seeds are fixed.

    Raises:
        UserError: when the data set has no labels to tell apart.
    """
    if not has_labels(dataset):
        raise UserError(
            f"{dataset.name} has no labels that a classifier could be taught. Choose random "
            "features."
        )
    train, held_out = dataset.train, dataset.validation
    assert train.labels is not None
    content, made_of = content_of(train, held_out), {"version": VERSION}
    network = Classifier(dataset.image_shape, int(train.labels.max()) + 1)
    kept = kept_network(content, NAME, network, made_of)
    if kept is None:
        network = taught(train, progress)
        told = accuracy_of(network, held_out)
        kept = made_of | {"accuracy": repr(told), "images": str(_labelled(held_out))}
        keep_network(content, NAME, network, kept)
    network.eval()
    told, images = float(kept["accuracy"]), int(kept["images"])
    accuracy = told if math.isfinite(told) else None
    return Features(
        NAME,
        f"{SIZE} features of a classifier that was taught the labels of the training images; "
        f"{_standing(accuracy, images, held_out)}",
        SIZE,
        digest_of(network),
        network.network,
        accuracy,
        images,
    )


def _standing(accuracy: float | None, images: int, held_out: ImageSet) -> str:
    """How far a classifier can be trusted, as the end of a sentence."""
    if accuracy is None:
        return "no held-out image has a label to measure it on."
    assert held_out.labels is not None
    said = f"it is right about {accuracy:.1%} of {images} held-out images."
    commonest = np.bincount(held_out.labels[held_out.labels >= 0]).max() / images
    if accuracy - commonest < LEAST_GAIN * (1 - commonest):
        said += (
            f" The commonest label alone is {commonest:.1%} of them: these features say little; "
            "choose random ones."
        )
    return said


def taught(
    train: ImageSet, progress: Progress = no_progress, steps: int = STEPS, seed: int = 0
) -> Classifier:
    """A classifier of the labels int64 [N] of images, in evaluation mode, by Adam and one cycle of
    its rate; equal images and seeds give equal weights."""
    assert train.labels is not None
    rows = np.flatnonzero(train.labels >= 0)
    batch = min(BATCH, len(rows))
    steps = min(steps, MOST_EPOCHS * max(1, len(rows) // batch))
    random = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Classifier(train.images.shape[1:], int(train.labels.max()) + 1)
    optimizer = torch.optim.Adam(network.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    order = np.empty(0, np.int64)
    for step in range(steps):
        progress("Teaching the classifier whose features are compared", step / steps)
        if len(order) < batch:
            order = random.permutation(rows)
        chosen, order = order[:batch], order[batch:]
        images = torch.from_numpy(train.images.gather(chosen))
        labels = torch.from_numpy(train.labels[chosen])
        optimizer.zero_grad(set_to_none=True)
        functional.cross_entropy(network(images), labels).backward()
        optimizer.step()
        schedule.step()
    return network.eval()


@torch.inference_mode()
def accuracy_of(network: Classifier, part: ImageSet) -> float:
    """The share of a part's labelled images whose label it tells; NaN without any."""
    if part.labels is None or not _labelled(part):
        return math.nan
    right = 0
    for rows in batches_in_order(part.images.shape, BATCH):
        guessed = network(torch.from_numpy(part.images.gather(rows))).argmax(1).numpy()
        right += int((guessed == part.labels[rows]).sum())
    return right / _labelled(part)


def _labelled(part: ImageSet) -> int:
    return 0 if part.labels is None else int((part.labels >= 0).sum())
