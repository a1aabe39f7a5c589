"""Every image of one part of a data set: where it is encoded and how well it is explained, looked
through once for each checkpoint and kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vae_core.data import ImageSet, Progress, no_progress
from vae_core.data.batches import labelled, mask_at
from vae_core.data.columns import Columns, rows_of
from vae_core.data.hashes import mixed, occurrence
from vae_core.errors import UserError
from vae_core.latent.encodings import MOST_LABELS, labels_in_reach
from vae_core.latent.stored_names import files_of, packed, read_columns, stored_columns, unpacked
from vae_core.models import LatentModel, Output, evaluating
from vae_core.names import readable
from vae_core.objective import Objective
from vae_core.runs import WEIGHTS, Run, Tensors, derived, layout, part_name
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

    def name(self, row: int) -> str:
        """What a person calls an image: its file, else its place in its part."""
        if self.files:
            return readable(self.files[row])
        return f"{part_name(self.split)} image {int(self.indices[row]) + 1}"

    def label_name(self, label: int) -> str:
        """What the data set calls a label, else its number."""
        return self.label_names[label] if 0 <= label < len(self.label_names) else str(label)

    def rows(self, chosen: np.ndarray) -> Survey:
        """The images at the places `chosen` int64 [M] of this survey."""
        arrays: dict[str, Any] = {
            name: value[chosen]
            for name, value in vars(self).items()
            if isinstance(value, np.ndarray)
        }
        files = tuple(self.files[i] for i in chosen) if self.files else ()
        return replace(self, files=files, columns=rows_of(self.columns, chosen), **arrays)


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
    is to be reconstructed is the clean image either way. The draws are the same each time. Memory
    holds a batch of images and the results.
    """
    generator = torch.Generator(model.device).manual_seed(0)
    n, done = len(part), 0
    arrays: dict[str, Any] = dict.fromkeys(("mu", "logvar", "recon", "kl", "kl_error"))
    with evaluating(model, objective):
        for x, labels in labelled(part, BATCH, model.device):
            here = slice(done, done + len(x))
            mask = mask_at(part, here, model.device)
            conditioned = model.conditioned(labels)
            seen = objective.corrupted(x, range(n)[here]) if corrupted else x
            output = conditioned(seen, generator)
            # With several levels a pass follows its draws; an encoding follows the modes.
            levels = len(model.latent_shapes)
            posterior = output.posterior if levels == 1 else conditioned.encode(seen)
            logvar = posterior.log_variance()
            found = {
                "mu": model.flatten(posterior.mode()),
                "logvar": None if logvar is None else model.flatten(logvar),
                "recon": model.likelihood.nll(output.x_logits, x, mask),
            }
            if done == 0 or arrays["kl"] is not None:
                now = replace(context, generator=generator, labels=labels, mask=mask)
                found["kl"], found["kl_error"] = _rate(model, objective, x, output, now)
            for name, values in found.items():
                if values is not None:
                    if arrays[name] is None:
                        arrays[name] = np.empty((n, *values.shape[1:]), np.float32)
                    arrays[name][here] = values.cpu()
            done = here.stop
            progress(f"Encoding the {split} images", done / n)
    return Survey(
        split=split,
        labels=part.labels,
        label_names=tuple(label_names),
        files=part.files,
        indices=np.arange(n),
        step=context.step,
        hashes=part.hashes,
        columns=part.columns,
        **arrays,
    )


def _rate(
    model: LatentModel, objective: Objective, x: Tensor, output: Output, context: Context
) -> tuple[Tensor | None, Tensor | None]:
    """The KL of each image and its standard error, [B] each: the posterior's own, else the KL
    that the objective knows, such as that of codes."""
    own = output.posterior.divergence(model.prior(), context.generator)
    if own is not None:
        return own
    losses = objective.losses(x, objective(model, x, context), context)
    term = merged(losses).get("kl")
    return None if term is None else term.value, None


def finite(values: np.ndarray, what: str) -> np.ndarray:
    """`values`, or a `UserError` where training diverged and left NaN or infinity in them."""
    wrong = int(np.count_nonzero(~np.isfinite(values).reshape(len(values), -1).all(axis=1)))
    if wrong:
        raise UserError(
            f"{wrong} of {len(values)} images have no finite {what}: the training diverged. "
            "Go back to an earlier run, or train again with a smaller learning rate."
        )
    return values


SMALL = 100 * 10**6
"""Bytes of a survey that is read whatever number of images it speaks of."""


def save_survey(run: Run, found: Survey, data_dir: str | None, elsewhere: bool = False) -> None:
    """Keep a survey, where it can be kept, with the place its images were read from: `elsewhere`
    where they are others than the run's own, which is kept beside that of its own."""
    columns, told = stored_columns(found.columns)
    names = ("mu", "logvar", "recon", "kl", "kl_error", "labels", "hashes")
    arrays = columns | {name: getattr(found, name) for name in names}
    arrays |= {"label_names": packed(found.label_names), "files": packed(found.files)}
    made_of = {
        "step": str(found.step),
        "weights": derived.fingerprint(run, WEIGHTS),
        "data_dir": data_dir or "",
        "note": found.note,
        "columns": told,
    }
    present = {name: array for name, array in arrays.items() if array is not None}
    derived.keep(run, layout.survey(found.split, elsewhere=elsewhere), present, made_of)


def load_survey(run: Run, split: str, step: int, data_dir: str | None = None) -> Survey | None:
    """The survey that is kept of a run's weights, which are of `step`; None where none is usable.
    Its images must have been read from `data_dir`; None is for the run's own, wherever they lay."""
    weights = derived.fingerprint(run, WEIGHTS)

    def read(file: Tensors) -> Survey | None:
        if file.step() != step or file.metadata.get("weights", weights) != weights:
            return None
        if data_dir not in (None, file.metadata["data_dir"]):
            return None
        n, size = file.require("mu", "F32", (None, None)).shape
        if n < 1 or size != run.summary().get("latent_dim", size) or not _believable(run, file):
            return None
        names = unpacked(file, "label_names", MOST_LABELS)
        labels = file.maybe("labels", "I64", (n,))
        return Survey(
            split,
            file.array("mu", "F32", (n, size)),
            file.maybe("logvar", "F32", (n, size)),
            file.maybe("recon", "F32", (n,)),
            file.maybe("kl", "F32", (n,)),
            None if labels is None else labels_in_reach(labels, names),
            names,
            files_of(file, n),
            np.arange(n),
            step,
            file.array("hashes", "U64", (n,)),  # without, it is from before runs kept parts
            file.metadata.get("note", ""),
            file.maybe("kl_error", "F32", (n,)),
            read_columns(file, n),
        )

    found = derived.find(run, layout.survey(split), read)
    if found is None and data_dir is not None:
        found = derived.find(run, layout.survey(split, elsewhere=True), read)
    return found


def surveyed_hashes(run: Run, split: str) -> np.ndarray | None:
    """Which images the survey that is kept of a run is of: uint64 [N]; None where none is kept."""

    def read(file: Tensors) -> np.ndarray | None:
        return file.array("hashes", "U64", (None,)) if _believable(run, file) else None

    return derived.find(run, layout.survey(split), read)


def _believable(run: Run, file: Tensors) -> bool:
    """Whether a survey is of about as many images as the run has; a small one may be of more."""
    if file.nbytes <= SMALL:
        return True
    card, images = run.data_card(), file.require("hashes", "U64", (None,)).shape[0]
    return images <= 2 * (card.n_train + card.n_validation + card.n_test)
