"""Figure 5: the ELBO as a bound that a hand can move, in a model with two latents."""

from __future__ import annotations

from latent_workbench.components.concepts import Data, concepts
from latent_workbench.components.concepts.models import (
    fitting,
    has_images,
    images_data,
    kept,
    one_of_each,
)
from latent_workbench.shared.catalog import RunFacts
from vae_core.errors import UserError
from vae_core.runs import Run


def has_a_plane(facts: RunFacts) -> bool:
    """True for a model with two latents whose prior and posteriors are Gaussians."""
    return has_images(facts) and facts.latent_size == 2 and facts.kl is not None


@concepts.register(
    "elbo",
    label="ELBO as a bound",
    blurb="The true posterior p(z|x) says which codes explain this image; the encoder answers with "
    "one Gaussian q. Whatever q is, the ELBO lies below log p(x), and the gap between them is "
    "exactly KL(q‖p(z|x)). Drag the middle of q, stretch it by its edges, and try to close the "
    "gap.",
    formula=r"\begin{aligned}\log p(x)=\;&\overbrace{\mathbb E_q[\log p(x|z)]-\mathrm{KL}(q\|p)}"
    r"^{\mathrm{ELBO}}\\+\;&\underbrace{\mathrm{KL}\big(q\,\|\,p(z|x)\big)}_{\text{gap}\,\ge\,0}"
    r"\end{aligned}",
    question="Snap to the best: why is a gap left, and why is the encoder's gap larger still?",
    answer="What is left is the *approximation gap*: a Gaussian with upright axes is not the true "
    "posterior, which bends and leans. What the encoder loses beyond it is the *amortisation gap*: "
    "one network answers for all images and is not perfect for this one (Cremer, Li and Duvenaud "
    "2018).",
    page="evaluate",
    look="Evaluate measures both sides in your run: the ELBO, and log p(x) by importance sampling.",
    paper="Kingma and Welling, Auto-Encoding Variational Bayes (2014), equation 3",
    order=5,
)
def data(run: Run | None) -> Data:
    found = fitting(run, has_a_plane, "a VAE with two latents", ("mnist-plane",))
    encodings = kept(found)
    if encodings.logvar is None:
        raise UserError(f"The encoder of run {found.id!r} gives no Gaussians. Choose another run.")
    return {"run": found.id, "images": images_data(encodings, one_of_each(encodings))}
