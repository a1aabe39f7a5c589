"""Figure 4: one gradient, estimated in two ways."""

from __future__ import annotations

from latent_workbench.components.concepts import Data, concepts
from latent_workbench.components.concepts.models import has_posteriors, images_of
from vae_core.runs import Run


@concepts.register(
    "reparameterisation",
    label="Reparameterisation",
    blurb="Training needs the gradient of E log p(x|z) with respect to q's mean, from a few draws "
    "of z. The score function weighs each draw by how well it did, reparameterisation moves the "
    "draw and asks the decoder for its slope. Both are right on average; drag q over a real "
    "decoder's log p(x|z) and compare how far single answers scatter.",
    formula=r"\begin{aligned}\nabla_\mu\,\mathbb E_q f(z)&=\mathbb E_q\Big[f(z)\,"
    r"\tfrac{z-\mu}{\sigma^2}\Big]\\&=\mathbb E_\varepsilon\big[f'(\mu+\sigma\varepsilon)\big]"
    r"\end{aligned}",
    question="Why is one draw an image enough to train a VAE, but not with the score function?",
    answer="The score function multiplies f itself, some −100 nats, with noise that grows as 1/σ; "
    "a baseline takes most of f away, not the 1/σ. The slope f′ hardly changes over the width of "
    "q, so one draw says nearly all, and a batch of images averages the rest. For discrete codes "
    "there is no slope, which is why they need other means.",
    page="train",
    look="Under More, “Samples an image” is L: compare the noise of the curves with 1 and 8.",
    paper="Kingma and Welling, Auto-Encoding Variational Bayes (2014), section 2.4",
    order=4,
)
def data(run: Run | None) -> Data:
    return images_of(
        run, "a VAE that keeps its images", "mnist-plane", "mnist-vae", fits=has_posteriors
    )
