"""What features are, the registry of kinds of them, and which one suits a data set."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from vae_core.data.dataset import Dataset, ImageSet
from vae_core.errors import UserError
from vae_core.locations import cache_folder
from vae_core.progress import Progress, no_progress
from vae_core.registry import Entry, Registry
from vae_core.runs import Folder

AUTO = "auto"
PROBED = 64


@dataclass(frozen=True)
class Features:
    """A fixed function of images, by which figures are comparable where its digest is the same.

    network: uint8 [B, C, H, W] → float [B, size], in evaluation mode. accuracy: of the classifier
    that it is part of, on `accuracy_images` held-out images; None for what was not trained here.
    said: what it is, one sentence.
    """

    name: str
    said: str
    size: int
    digest: str
    network: nn.Module
    accuracy: float | None = None
    accuracy_images: int = 0

    @torch.inference_mode()
    def of(
        self, batches: Iterable[np.ndarray], n: int, message: str, progress: Progress = no_progress
    ) -> np.ndarray:
        """The features of n pictures that come in batches uint8 [B, C, H, W]: float64 [n, size]."""
        found, done = np.empty((n, self.size)), 0
        for pictures in batches:
            progress(message, done / n)
            here = slice(done, done + len(pictures))
            found[here], done = self.network(torch.from_numpy(pictures)).numpy(), here.stop
        return found[:done]


Build = Callable[[Dataset, Progress], Features]


def _needs_nothing(dataset: Dataset) -> bool:
    return True


@dataclass(frozen=True, kw_only=True)
class FeatureKind(Entry[Build]):
    """A kind of features. suits: whether a data set has what they need; automatic: whether they are
    taken where nobody has chosen and they suit, in the order of the registry."""

    suits: Callable[[Dataset], bool] = _needs_nothing
    automatic: bool = True


feature_kinds: Registry[FeatureKind] = Registry("kind of features", FeatureKind)
"""By name; each builder `(dataset, progress)` learns them or finds them in the cache."""


def features_of(dataset: Dataset, kind: str = AUTO, progress: Progress = no_progress) -> Features:
    """The features called `kind`; `auto` takes those that were learned where there are labels.

    Raises:
        UserError: when there is no such kind, or the data set or this machine has not what it
            needs.
    """
    if kind == AUTO:
        kind = next(each.name for each in feature_kinds if each.automatic and each.suits(dataset))
    return feature_kinds[kind].build(dataset, progress)


def content_of(*parts: ImageSet) -> Folder:
    """What stands for these images and labels where something is derived from them: runs that
    learned from the same ones share it. A folder by its name alone, as `derived` takes it; a
    `UserError` when there can be no cache."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(repr(part.images.shape).encode())
        digest.update(part.known_hashes.astype("<u8").tobytes())
        labels = np.empty(0, np.int64) if part.labels is None else part.labels
        digest.update(labels.astype("<i8").tobytes())
        if len(part):  # hashes are of what images were made from, which may be cut otherwise
            probed = np.unique(np.linspace(0, len(part) - 1, PROBED).astype(np.int64))
            digest.update(part.images.gather(probed).tobytes())
    return Folder(cache_folder() / f"images-{digest.hexdigest()}")


def digest_of(network: nn.Module) -> str:
    """What the weights of a network are known by."""
    digest = hashlib.blake2b(digest_size=8)
    for name, tensor in network.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.cpu().numpy().tobytes())
    return digest.hexdigest()


def require_channels(channels: int, name: str) -> None:
    """Refuse images that a network for pictures in colour cannot see.

    Raises:
        UserError: when they have another number of channels than 1 or 3.
    """
    if channels not in (1, 3):
        raise UserError(
            f"{name} features are of pictures in grey or colour, and these images have {channels} "
            "channels; choose random features."
        )
