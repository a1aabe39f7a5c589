"""Figure 6: what β does, over models that were trained with different ones."""

from __future__ import annotations

import numpy as np

from latent_workbench.components.concepts import Data, concepts
from latent_workbench.components.concepts.models import (
    fitting,
    has_images,
    images_data,
    kept,
    one_of_each,
)
from latent_workbench.live.arrays import sent
from latent_workbench.shared.catalog import RunFacts, catalog
from vae_core.runs import Run

MOST_RUNS = 24
MOST_SHOWN = 16
"""Dimensions with a histogram: those that say most."""
BINS, REACH = 61, 4.0


@concepts.register(
    "beta",
    label="β",
    blurb="β is the price of a nat of KL: what the code may cost against what the image may "
    "differ. A low β buys sharp reconstructions with codes that have left the prior, a high β "
    "orderly codes with blurred images. Turn the dial over models that were trained alike but for "
    "β, and follow the point on the curve.",
    formula=r"\mathcal L_\beta=\underbrace{\mathbb E_q[-\log p(x|z)]}_{\text{distortion }D}"
    r"+\beta\,\underbrace{\mathrm{KL}(q\|p)}_{\text{rate }R}",
    question="At which β do samples look best, and at which reconstructions?",
    answer="Reconstructions are best at the lowest β, always: the rate is cheap. Samples are best "
    "where the codes still fill the prior, mostly at a β near 1 or a little above; higher still, "
    "dimensions collapse and both blur. On the curve, −β is the slope dD/dR (Alemi et al. 2018).",
    page="tune_beta",
    parameters={"tune-tab": "Sweep"},
    look="A sweep on Tune β trains such a row of models from your run's settings.",
    paper="Higgins et al., β-VAE (2017); Alemi et al., Fixing a Broken ELBO (2018)",
    order=6,
)
def data(run: Run | None) -> Data:
    first = fitting(run, _fits, "a VAE with a β that keeps its images", ("mnist-vae",))
    shown = kept(first)
    rows = one_of_each(shown)
    models = []
    for facts in comparable(first):
        encodings = kept(facts)
        if not np.array_equal(encodings.thumbnails[rows], shown.thumbnails[rows]):
            continue  # other images, so their reconstructions would compare nothing
        mu, logvar = encodings.mu, encodings.logvar
        if logvar is None:
            continue
        each = rates(mu, logvar)
        most = np.argsort(-each)[:MOST_SHOWN]
        models.append(
            {
                "run": facts.id,
                "beta": facts.beta,
                "rate": float(each.sum()),
                "distortion": facts.recon,
                "active": facts.active_units,
                "size": mu.shape[1],
                "mu": mu[rows].tolist(),
                "names": [f"z{d}" for d in most],
                "densities": sent(aggregated(mu[:, most], logvar[:, most])),
            }
        )
    models.sort(key=lambda each: each["beta"])
    return {
        "images": images_data(shown, rows),
        "models": models,
        "start": next(i for i, each in enumerate(models) if each["run"] == first.id),
        "bins": BINS,
        "reach": REACH,
    }


def _fits(facts: RunFacts) -> bool:
    return has_images(facts) and facts.beta is not None and facts.kl is not None


def comparable(first: RunFacts) -> list[RunFacts]:
    """The models on the images of `first` that differ by their β, at most one for each β."""
    alike = (
        facts
        for facts in [first, *catalog()]
        if facts.usable
        and _fits(facts)
        and facts.recon is not None
        and (facts.dataset, facts.family, facts.latent_size, facts.likelihood, facts.image_shape)
        == (first.dataset, first.family, first.latent_size, first.likelihood, first.image_shape)
    )
    by_beta: dict[float | None, RunFacts] = {}
    for facts in alike:
        by_beta.setdefault(facts.beta, facts)
    return list(by_beta.values())[:MOST_RUNS]


def rates(mu: np.ndarray, logvar: np.ndarray) -> np.ndarray:
    """KL(q(z_d|x)‖N(0, 1)) in nats, the mean over images [N, D]: float64 [D]."""
    mu, logvar = mu.astype(np.float64), logvar.astype(np.float64)
    each: np.ndarray = 0.5 * (mu**2 + np.exp(logvar) - 1 - logvar).mean(axis=0)
    return each


def aggregated(mu: np.ndarray, logvar: np.ndarray) -> np.ndarray:
    """The density of each dimension's codes over all images, the mean of q(z_d|x), at `BINS` even
    steps from −`REACH` to `REACH`: float64 [D, BINS]."""
    z = np.linspace(-REACH, REACH, BINS)
    found = []
    for mean, log in zip(mu.T.astype(np.float64), logvar.T.astype(np.float64), strict=True):
        sigma = np.exp(log / 2)[:, None]
        # At least as wide as a step: a narrower posterior would lie between two of them.
        wide = np.maximum(sigma, z[1] - z[0])
        bells = np.exp(-0.5 * ((z - mean[:, None]) / wide) ** 2) / (wide * np.sqrt(2 * np.pi))
        found.append(bells.mean(axis=0))
    return np.array(found)
