"""p(x|z): what the decoder's logits mean; importing this registers every likelihood."""

from vae_core.models.likelihoods.bernoulli import Bernoulli
from vae_core.models.likelihoods.gaussian import Gaussian, OptimalGaussian
from vae_core.models.likelihoods.likelihood import (
    COLOUR,
    GREY,
    SETTINGS,
    Likelihood,
    likelihoods,
    resolve_likelihood,
    settings_of,
)

likelihoods.discover(__name__, plugins="vae_core.likelihoods")

__all__ = [
    "COLOUR",
    "GREY",
    "SETTINGS",
    "Bernoulli",
    "Gaussian",
    "Likelihood",
    "OptimalGaussian",
    "likelihoods",
    "resolve_likelihood",
    "settings_of",
]
