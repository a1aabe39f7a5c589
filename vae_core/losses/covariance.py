"""How far the covariance of codes is from the identity."""

from __future__ import annotations

import torch
from torch import Tensor


def covariance(rows: Tensor) -> Tensor:
    """Population covariance of rows [B, D], [D, D]."""
    centred = rows - rows.mean(0)
    return centred.T @ centred / len(rows)


def off_and_on_diagonal(covariance: Tensor) -> tuple[Tensor, Tensor]:
    """Σ_{i≠j} C_ij² and Σ_i (C_ii − 1)², scalars.

    Source: Kumar, Sattigeri and Balakrishnan, Variational Inference of Disentangled Latent
    Concepts from Unlabeled Observations (2018), equations 6 and 7.
    """
    diagonal = covariance.diagonal()
    off = (covariance - torch.diag(diagonal)).square().sum()
    return off, (diagonal - 1).square().sum()
