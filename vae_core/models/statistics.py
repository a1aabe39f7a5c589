"""Batch normalisation and whatever else passes a network beside the images of a batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def running_statistics(module: nn.Module) -> Iterator[None]:
    """Within it batch normalisation uses its running statistics and leaves them as they are.

    For what is no batch of images. In training it would be normalised by its own mean and
    variance and mixed into the running ones, and afterwards nothing is normalised as it was.
    """
    norms = [
        norm
        for norm in module.modules()
        if isinstance(norm, nn.modules.batchnorm._BatchNorm) and norm.training
    ]
    for norm in norms:
        norm.eval()
    try:
        yield
    finally:
        for norm in norms:
            norm.train()
