"""Figure 2: the Kullback–Leibler divergence between two Gaussians, term by term."""

from __future__ import annotations

from latent_workbench.components.concepts import Data, concepts
from latent_workbench.components.concepts.models import has_posteriors, images_of
from vae_core.runs import Run


@concepts.register(
    "kl",
    label="KL between Gaussians",
    blurb="KL(q‖p) is what it costs, in nats, to believe p where q is true; it is zero only where "
    "the two are the same. It has two parts: how far the mean has moved, and how far the width "
    "differs, each of them an area. Drag the dots on q, or take one dimension of a real image's "
    "posterior.",
    formula=r"\begin{aligned}&\mathrm{KL}\big(\mathcal N(\mu,\sigma^2)\,\|\,\mathcal N(0,1)\big)\\"
    r"&=\underbrace{\tfrac12\mu^2}_{\text{mean}}"
    r"+\underbrace{\tfrac12(\sigma^2-1)-\ln\sigma}_{\text{width}}\end{aligned}",
    question="Why does a VAE use KL(q‖p) and not KL(p‖q)? Narrow q and watch both.",
    answer="Where q is narrow, p has mass that q nearly excludes, and KL(p‖q) grows as 1/σ²: it "
    "would forbid the narrow posteriors that say something about an image. KL(q‖p) grows as −ln σ "
    "only, and it is what the bound on log p(x) contains: "
    r"$\log p(x)=\mathrm{ELBO}+\mathrm{KL}(q\|p(z|x))$.",
    page="encodings",
    look="See which dimensions of your run's encodings have left the prior, and which pay nothing.",
    paper="Kingma and Welling, Auto-Encoding Variational Bayes (2014), appendix B",
    order=2,
)
def data(run: Run | None) -> Data:
    return images_of(
        run, "a VAE that keeps its images", "mnist-vae", "mnist-plane", fits=has_posteriors
    )
