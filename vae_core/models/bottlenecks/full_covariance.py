"""Mean and a whole covariance matrix."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from vae_core.models.posteriors import FullCovariancePosterior


class FullCovariance(nn.Module):
    """Three linear heads: the mean, and the diagonal and the rest of the Cholesky factor.

    The diagonal is predicted as its doubled logarithm and kept in the range of a log-variance; so
    the covariance is positive definite whatever the features are.

    Source: Kingma and Welling, An Introduction to VAEs (2019), section 2.5.1.
    """

    rows: Tensor
    columns: Tensor

    def __init__(
        self,
        features: int,
        latent_dim: int,
        logvar_range: tuple[float, float],
    ) -> None:
        super().__init__()
        self.mu = nn.Linear(features, latent_dim)
        self.logvar = nn.Linear(features, latent_dim)
        # NumPy's: on the meta device torch's loads a library of symbols first, 3 s and 160 MB.
        rows, columns = map(torch.from_numpy, np.tril_indices(latent_dim, -1))
        self.register_buffer("rows", rows, persistent=False)
        self.register_buffer("columns", columns, persistent=False)
        self.below = nn.Linear(features, len(rows))
        self.logvar_range = logvar_range

    def forward(self, features: Tensor) -> FullCovariancePosterior:
        """features [B, F] → N(mu, L·Lᵀ) over [B, latent_dim]."""
        diagonal = (0.5 * self.logvar(features).clamp(*self.logvar_range)).exp()
        factor = torch.diag_embed(diagonal).index_put(
            (
                torch.arange(features.shape[0], device=features.device)[:, None],
                self.rows,
                self.columns,
            ),
            self.below(features),
        )
        return FullCovariancePosterior(self.mu(features), factor)
