"""Every image of one part of a data set: where it is encoded and how well it is explained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from vae_core.data import ImageSet, Progress, no_progress
from vae_core.data.batches import labelled
from vae_core.data.columns import Columns, rows_of
from vae_core.data.hashes import mixed, occurrence
from vae_core.errors import UserError
from vae_core.models import LatentModel, Output
from vae_core.objective import Objective
from vae_core.types import Context, merged

BATCH = 1024
"""At most: `labelled` takes fewer where images are large."""


@dataclass(frozen=True)
class Survey:
    """What a model makes of N images, in the order of their data set.

    split: train, validation, test, or "cached" for the images whose encodings the run keeps.
    mu: float32 [N, D]; logvar: float32 [N, D], or None for deterministic codes.
    recon: −log p(x|z) of one z drawn from the posterior, in nats, float32 [N]; None where no image
        was at hand. kl: KL(q(z|x) ‖ p(z)) in nats, float32 [N]; None where there is none.
    kl_error: the standard error of kl in nats, float32 [N], where it is the mean over
        `EVALUATION_DRAWS` draws of z; None where it has a closed form.
    labels: int64 [N] or None; files: N names, or () where images came from no files.
    indices: int64 [N], places in the part.
    step: the checkpoint that encoded them.
    hashes: uint64 [N], which image each is, whatever its place; None where that is not known.
    note: what a person should know of the images, such as that some are gone; "" for nothing.
    columns: what else is known of each, by name, as `vae_core.data.columns` has it.
    """

    split: str
    mu: np.ndarray
    logvar: np.ndarray | None
    recon: np.ndarray | None
    kl: np.ndarray | None
    labels: np.ndarray | None
    label_names: tuple[str, ...]
    files: tuple[str, ...]
    indices: np.ndarray
    step: int
    hashes: np.ndarray | None = None
    note: str = ""
    kl_error: np.ndarray | None = None
    columns: Columns = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.mu)

    @property
    def identities(self) -> np.ndarray:
        """A number for each image that another survey has for it too, int64 or uint64 [N]: made
        of what it shows, and of its place only where that is not known. No two are the same."""
        if self.hashes is None:
            return self.indices
        return mixed((self.hashes, occurrence(self.hashes)))

    @property
    def elbo(self) -> np.ndarray | None:
        """−(recon + kl) in nats, one draw of z: float32 [N]; None without both terms."""
        return None if self.recon is None or self.kl is None else -(self.recon + self.kl)

    def label_name(self, label: int) -> str:
        """What the data set calls a label, else its number."""
        return self.label_names[label] if 0 <= label < len(self.label_names) else str(label)

    def rows(self, chosen: np.ndarray) -> Survey:
        """The images at the places `chosen` int64 [M] of this survey."""

        def pick(array: np.ndarray | None) -> np.ndarray | None:
            return None if array is None else array[chosen]

        return Survey(
            self.split,
            self.mu[chosen],
            pick(self.logvar),
            pick(self.recon),
            pick(self.kl),
            pick(self.labels),
            self.label_names,
            tuple(self.files[i] for i in chosen) if self.files else (),
            self.indices[chosen],
            self.step,
            pick(self.hashes),
            self.note,
            pick(self.kl_error),
            rows_of(self.columns, chosen),
        )


@torch.inference_mode()
def survey(
    model: LatentModel,
    objective: Objective,
    part: ImageSet,
    label_names: Sequence[str],
    split: str,
    context: Context,
    progress: Progress = no_progress,
    *,
    corrupted: bool = False,
) -> Survey:
    """Run every image of a part through the model in evaluation mode, one z each.

    Images are encoded clean, as who explores them sees them; or `corrupted` as the objective shows
    them to its encoder in training, image i of the part with `objective.corrupted`'s noise i. What
    is to be reconstructed is the clean image either way.

    Memory holds a batch of images and the results, however many images there are. The draws are
    the same each time. The modes of both modules are restored.
    """
    was_training = model.training
    model.eval()
    objective.eval()
    generator = torch.Generator(model.device).manual_seed(0)
    n, done = len(part), 0
    mu, recon = np.empty((n, model.latent_size), np.float32), np.empty(n, np.float32)
    logvar: np.ndarray | None = np.empty_like(mu)
    kl: np.ndarray | None = np.empty_like(recon)
    kl_error: np.ndarray | None = np.empty_like(recon)
    for x, labels in labelled(part, BATCH, model.device):
        here = slice(done, done + len(x))
        conditioned = model if labels is None else model.conditioned(labels)
        seen = objective.corrupted(x, range(done, done + len(x))) if corrupted else x
        output = conditioned(seen, generator)
        # With several levels a pass follows its draws; an encoding follows the modes.
        posterior = output.posterior if len(model.latent_shapes) == 1 else conditioned.encode(seen)
        mu[here] = model.flatten(posterior.mode()).cpu()
        recon[here] = model.likelihood.nll(output.x_logits, x).cpu()
        if logvar is not None:
            logvars = posterior.log_variance()
            logvar = None if logvars is None else _filled(logvar, here, model.flatten(logvars))
        if kl is not None:
            now = replace(context, generator=generator, labels=labels)
            rate = _rate(model, objective, x, output, now)
            kl = None if rate is None else _filled(kl, here, rate[0])
            error = None if rate is None else rate[1]
            if kl_error is not None:
                kl_error = None if error is None else _filled(kl_error, here, error)
        done = here.stop
        progress(f"Encoding the {split} images", done / n)
    model.train(was_training)
    objective.train(was_training)
    names, indices = tuple(label_names), np.arange(n)
    return Survey(
        split, mu, logvar, recon, kl, part.labels, names, part.files, indices, context.step,
        part.hashes, kl_error=kl_error, columns=part.columns,
    )  # fmt: skip


def _rate(
    model: LatentModel, objective: Objective, x: Tensor, output: Output, context: Context
) -> tuple[Tensor, Tensor | None] | None:
    """The KL of each image and its standard error, [B] each: the posterior's own, else the KL
    that the objective knows, such as that of codes."""
    own = output.posterior.divergence(model.prior(), context.generator)
    if own is not None:
        return own
    losses = objective.losses(x, objective(model, x, context), context)
    term = merged(losses).get("kl")
    return None if term is None else (term.value, None)


def _filled(array: np.ndarray, here: slice, values: Tensor) -> np.ndarray:
    array[here] = values.cpu()
    return array


def finite(values: np.ndarray, what: str) -> np.ndarray:
    """`values`, once it is sure that all of them are numbers.

    Raises:
        UserError: when training diverged and left NaN or infinity in them.
    """
    wrong = int(np.count_nonzero(~np.isfinite(values).reshape(len(values), -1).all(axis=1)))
    if wrong:
        raise UserError(
            f"{wrong} of {len(values)} images have no finite {what}: the training diverged. "
            "Go back to an earlier run, or train again with a smaller learning rate."
        )
    return values
