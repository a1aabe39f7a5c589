"""Features of a network that has learned nothing: what is left where images have no labels."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from vae_core.data.dataset import Dataset, ImageSet
from vae_core.data.images import drawn
from vae_core.metrics.quality.features.kind import Features, content_of, digest_of, feature_kinds
from vae_core.metrics.quality.features.network import (
    SIZE,
    FeatureNetwork,
    keep_network,
    kept_network,
)
from vae_core.progress import Progress, no_progress

NAME = "random"
VERSION = "1"
SEEN, BATCH = 4096, 256


@feature_kinds.register(
    NAME,
    label="Random network",
    blurb="A network with random weights, which needs no labels and is partial to nothing.",
    paper="Naeem et al., Reliable Fidelity and Diversity Metrics for Generative Models (2020), "
    "on random embeddings",
    order=1,
)
def random_features(dataset: Dataset, progress: Progress = no_progress) -> Features:
    """The network with the weights of seed 0, scaled to the training images of a data set."""
    content, made_of = content_of(dataset.train), {"version": VERSION}
    network = FeatureNetwork(dataset.image_shape)
    if kept_network(content, NAME, network, made_of) is None:
        network = scaled(dataset.train, progress)
        keep_network(content, NAME, network, made_of)
    network.eval()
    said = (
        f"{SIZE} features of a network with random weights, each scaled to the training images; it "
        "has learned nothing, and small details count for as much as what is shown."
    )
    return Features(NAME, said, SIZE, digest_of(network), network)


@torch.no_grad()
def scaled(train: ImageSet, progress: Progress = no_progress, seed: int = 0) -> FeatureNetwork:
    """Random weights; every layer's values have mean 0 and variance 1 over at most `SEEN` training
    images, in evaluation mode: else what comes through several layers would hardly vary."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = FeatureNetwork(train.images.shape[1:])
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.momentum = None  # the mean over all batches
    seen = drawn(train, SEEN, seed)
    network.train()
    for rows in np.array_split(np.arange(len(seen)), max(1, len(seen) // BATCH)):
        progress("Scaling the network whose features are compared", int(rows[0]) / len(seen))
        network(torch.from_numpy(seen.images.gather(rows)))
    return network.eval()
