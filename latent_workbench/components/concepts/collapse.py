"""Figure 7: posterior collapse, in a training that one watches and disturbs."""

from __future__ import annotations

import numpy as np

from latent_workbench.components.concepts import Data, concepts
from latent_workbench.components.concepts.models import fitting, has_images, kept
from latent_workbench.live.arrays import sent
from vae_core.runs import Run

IMAGES = 1000


@concepts.register(
    "collapse",
    label="Collapse",
    blurb="A dimension of the code is worth its KL only if it saves more nats of reconstruction "
    "than β times that. Where it does not, its posterior falls back to the prior and the decoder "
    "stops listening, which is hard to undo, because neither side learns from noise. Raise β while "
    "this small VAE trains on real images in your browser, watch dimensions die, and try a remedy.",
    formula=r"\begin{aligned}&\mathbb E_q[-\log p(x|z)]\\&+\beta\sum_d\max\big(\lambda,\,"
    r"\overline{\mathrm{KL}}_d\big)\end{aligned}",
    question="After a collapse, why does a lower β not always wake the dimensions at once?",
    answer="Where q(z|x) = p(z), z is noise to the decoder, so its weights on it shrink; and where "
    "the decoder does not listen, nothing tells the encoder what to say. The gradient is near zero "
    "on both sides. *Free bits* (Kingma et al. 2016) make the first λ nats of each dimension free, "
    "and a *warm-up* of β lets both sides learn before the price is asked.",
    page="tune_beta",
    look="Tune β watches your run for it: KL of each dimension, active units, and what to do.",
    paper="Bowman et al. (2016), section 3.1; Kingma et al. (2016), appendix C.8",
    order=7,
)
def data(run: Run | None) -> Data:
    found = fitting(
        run,
        lambda each: has_images(each) and each.image_shape is not None and each.image_shape[0] == 1,
        "a run that keeps grey images",
        ("mnist-vae",),
    )
    images = kept(found).thumbnails
    rows = np.linspace(0, len(images) - 1, min(IMAGES, len(images))).astype(int)
    return {"run": found.id, "size": list(images.shape[2:]), "images": sent(images[rows], "u1")}
