"""Figure 1: code length, entropy, and what it costs to code with the wrong frequencies."""

from __future__ import annotations

from latent_workbench.components.concepts import Data, concepts
from latent_workbench.components.concepts.models import images_of
from vae_core.runs import Run


@concepts.register(
    "code-length",
    label="Code length and entropy",
    blurb="A symbol that comes with probability p is best written with −log₂ p bits, and the mean "
    "of that is the entropy. Whoever believes q instead writes −log₂ q bits: the mean length "
    "becomes the cross-entropy, and what is paid in vain is KL(p‖q). Drag a border to change how "
    "often a symbol comes, or the top of a column to change the length of its code.",
    formula=r"\begin{aligned}\underbrace{-\textstyle\sum p_i\log q_i}_{\text{cross-entropy}}"
    r"=\;&\underbrace{-\textstyle\sum p_i\log p_i}_{\text{entropy}}\\"
    r"+\;&\underbrace{\textstyle\sum p_i\log\tfrac{p_i}{q_i}}_{\mathrm{KL}(p\|q)}\end{aligned}",
    question="Can a code that believes the wrong frequencies ever be shorter than the entropy?",
    answer="No: KL(p‖q) ≥ 0, with equality only where q = p (Gibbs' inequality). A VAE's loss is "
    "such a code length: −log p(x|z) nats for the image once its code is known, and KL nats for "
    "the code.",
    page="evaluate",
    look="Evaluate tells in bits per value how short your run's model could make its images.",
    paper="Shannon, A Mathematical Theory of Communication (1948)",
    order=1,
)
def data(run: Run | None) -> Data:
    return images_of(run, "a run that keeps its images", "mnist-vae")
