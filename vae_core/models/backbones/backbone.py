"""A backbone: the two halves of the network on either side of the bottleneck."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from vae_core.registry import Entry, Registry

Shape = tuple[int, int, int]
Build = Callable[[Shape, int, Any], "Backbone"]

backbones: Registry[Entry[Build]] = Registry("backbone", Entry)
"""Builders `(image_shape, latent_dim, options) -> Backbone`."""

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh, "silu": nn.SiLU}


@dataclass(frozen=True)
class Backbone:
    """encoder: [B, C, H, W] → [B, features]; decoder: [B, latent_dim] → logits [B, C, H, W].

    Where places are kept apart, features and latents have theirs too: [B, …, h, w].
    """

    encoder: nn.Module
    features: int
    decoder: nn.Module
