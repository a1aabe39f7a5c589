"""Figure 8: why pictures of a VAE are blurred, and what other likelihoods make of it."""

from __future__ import annotations

from latent_workbench.components.concepts import Data, concepts
from latent_workbench.components.concepts.models import images_of
from vae_core.runs import Run


@concepts.register(
    "blur",
    label="Blur",
    blurb="Where one code has to serve two images, a Gaussian likelihood answers with their mean, "
    "which is neither. A learned σ says honestly how wrong the mean is, discretised logistics let "
    "each value have a scale of its own, and a hierarchy spends a few nats on which of the two it "
    "is. Choose two real images, drag how often each comes, and compare what the pair costs.",
    formula=r"\begin{aligned}\hat x=\arg\min_m\;&w\,\|x_1-m\|^2\\+\,&(1-w)\,\|x_2-m\|^2\\"
    r"=\;&w\,x_1+(1-w)\,x_2\end{aligned}",
    question="The hierarchy pays only the entropy of w for a sharp picture. Why is that so cheap?",
    answer="Which of two images it is takes at most ln 2 = 0.69 nats; the blurred mean costs "
    "hundreds, because every value that differs is paid for by itself. Independent values cannot "
    "say “all of the first or all of the second”, a latent can: that is what more latents, more "
    "levels, or a decoder that looks at its own values buy.",
    page="grids",
    look="Reconstructions: the most blurred ones share their code with images unlike them.",
    paper="Rybkin, Daniilidis and Levine, Simple and Effective VAE Training (2021)",
    order=8,
)
def data(run: Run | None) -> Data:
    return images_of(run, "a run that keeps its images", "mnist-vae")
