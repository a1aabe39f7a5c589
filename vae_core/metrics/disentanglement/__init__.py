"""How well single latent dimensions stand for single known factors.

Every score takes codes [N, L] (posterior means, or samples) and factors [N, F] (integers), and
returns a number in [0, 1] that is 1 for codes that are the factors themselves. Scale and shift of
a latent do not matter, a latent that never varies says nothing, and the mean is over the factors
that vary.
"""

from vae_core.metrics.disentanglement.beta_vae import beta_vae_score
from vae_core.metrics.disentanglement.dci import Dci, dci
from vae_core.metrics.disentanglement.factor_vae import factor_vae_score
from vae_core.metrics.disentanglement.mig import mutual_information_gap
from vae_core.metrics.disentanglement.sap import sap_score

__all__ = [
    "Dci",
    "beta_vae_score",
    "dci",
    "factor_vae_score",
    "mutual_information_gap",
    "sap_score",
]
