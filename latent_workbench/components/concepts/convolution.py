"""Figure 9: convolution and transposed convolution, sum by sum."""

from __future__ import annotations

from latent_workbench.components.concepts import Data, concepts
from latent_workbench.components.concepts.models import images_of
from vae_core.runs import Run


@concepts.register(
    "convolution",
    label="Transposed convolution",
    blurb="A convolution gathers: each output is a sum over a window of the input, weighed by the "
    "kernel. Its transpose scatters: each input puts a whole kernel, times its value, into the "
    "output, and where kernels overlap they add up. Drag the window over a real image, and choose "
    "stride and padding.",
    formula=r"\begin{aligned}n_{\text{conv}}&=\Big\lfloor\tfrac{n+2p-k}{s}\Big\rfloor+1\\"
    r"n_{\text{transposed}}&=(n-1)\,s-2p+k\end{aligned}",
    question="Choose the transpose with a kernel of 3 and a stride of 2. Where does the "
    "checkerboard come from?",
    answer="Stride 2 does not divide kernel 3, so some outputs are reached by four kernels, some "
    "by two and some by one: even a constant image becomes a pattern. Kernel 4 with stride 2 and "
    "padding 1 is even inside; so is enlarging first and convolving then (Odena, Dumoulin and Olah "
    "2016).",
    page="explore",
    look="Your run's decoder grows its picture this way, layer after layer; look for patterns.",
    paper="Dumoulin and Visin, A guide to convolution arithmetic for deep learning (2016)",
    order=9,
)
def data(run: Run | None) -> Data:
    return images_of(run, "a run that keeps its images", "mnist-vae")
