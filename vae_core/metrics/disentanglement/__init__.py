"""How well single latent dimensions stand for single known factors; one score a file.

Every score takes codes [N, L] (posterior means, or samples) and factors [N, F] (integers), and
returns a number in [0, 1] that is 1 for codes that are the factors themselves. Scale and shift of
a latent do not matter, a latent that never varies says nothing, and the mean is over the factors
that vary; where none does, or none has two values that recur, a score raises a `UserError`.

`quick` scores a few thousand images within seconds; `locatello` goes by a published protocol,
whose scores are accuracies of classifiers: for codes that are the factors, some are a little less
than 1, since a linear machine on one number cannot tell 40 classes apart.
"""

from vae_core.metrics.disentanglement.beta_vae import beta_vae_score
from vae_core.metrics.disentanglement.codes import Codes, collapsed, encoded
from vae_core.metrics.disentanglement.dci import Dci, dci
from vae_core.metrics.disentanglement.factor_vae import factor_vae_score
from vae_core.metrics.disentanglement.factors import Points
from vae_core.metrics.disentanglement.information import entropy, mutual_information
from vae_core.metrics.disentanglement.locatello import Published, Widths, published_scores
from vae_core.metrics.disentanglement.mig import binned_gaps, mutual_information_gap
from vae_core.metrics.disentanglement.mig_density import density_gaps
from vae_core.metrics.disentanglement.modularity import modularity
from vae_core.metrics.disentanglement.quick import SEEDS, every_score, with_spread
from vae_core.metrics.disentanglement.sap import sap_score

__all__ = [
    "SEEDS",
    "Codes",
    "Dci",
    "Points",
    "Published",
    "Widths",
    "beta_vae_score",
    "binned_gaps",
    "collapsed",
    "dci",
    "density_gaps",
    "encoded",
    "entropy",
    "every_score",
    "factor_vae_score",
    "modularity",
    "mutual_information",
    "mutual_information_gap",
    "published_scores",
    "sap_score",
    "with_spread",
]
