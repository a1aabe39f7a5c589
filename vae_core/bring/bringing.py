"""From what a door found to a run: built or connected, tried on images, encoded and measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from vae_core.bring.door import NOTHING_STATED, Door, Found, Wishes, door_for
from vae_core.bring.fitting import Fit, fit_noise, probed
from vae_core.bring.latents import write_drawn, write_encoded
from vae_core.config import LEAST_SIDE, MOST_SIDE, DataConfig, RunConfig
from vae_core.data import Dataset, ImageSet, load_dataset
from vae_core.data.sets.folder import open_images
from vae_core.data.shaping import kept_survey
from vae_core.data.split_record import record_splits
from vae_core.errors import UserError
from vae_core.families import build, build_on_meta, complete
from vae_core.families.footprint import require_memory_to_open
from vae_core.halves import Given, kinds
from vae_core.locations import data_folder
from vae_core.models import GivenModel, Halves, LatentModel
from vae_core.objective import Objective
from vae_core.progress import Progress, no_progress
from vae_core.run_data import data_card
from vae_core.runs import PARTS, WEIGHTS, DataCard, PartDigests, Run, Status, Store, layout
from vae_core.runs.schemas import Brought
from vae_core.runs.store import OWN, plain_name
from vae_core.training.artifacts import save_measurement
from vae_core.training.environment import save_environment
from vae_core.trust import digest_of, trust
from vae_core.types import Context

NO_IMAGES = "none"
"""What stands for the data set of a run that came without images."""

STEP = 0
"""Of the weights: none was taken here."""


@dataclass(frozen=True)
class Bringing:
    """What became of a network: its run, by which door it came, and how well it reconstructs; None
    without images or without an encoder."""

    run: Run
    door: Door
    fit: Fit | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Built:
    config: RunConfig
    card: DataCard
    model: LatentModel[Any]
    objective: Objective[Any]
    dataset: Dataset | None


def bring(
    paths: Sequence[Path],
    store: Store,
    name: str | None = None,
    data: DataConfig | None = None,
    kind: str | None = None,
    wishes: Wishes = NOTHING_STATED,
    trusted: bool = False,
    progress: Progress = no_progress,
) -> Bringing:
    """Make a run of a network from elsewhere. Nothing is left of it where that fails.

    Args:
        paths: a folder or file, or the files of encoder and decoder.
        data: its images; None for a network that only decodes.
        kind: by which door; None for the first that recognises what was named.
        trusted: what is code may run, and its content is remembered as trusted.

    Raises:
        UserError: when it cannot be brought, is code that is not trusted, or does not fit the
            images; it says why.
    """
    door = door_for(paths, kind)
    progress("Reading the network", None)
    found = door.build(paths, wishes)
    halves = _halves(found, door, paths, trusted)
    if halves is not None:
        found = replace(found, encodes=halves.encode is not None)
        if halves.image_shape is not None:
            found = replace(found, image_shape=halves.image_shape)
    if found.encodes and data is None:
        raise UserError(
            "This network has an encoder: name images that it is to encode, those that it was "
            "trained on or others like them.",
            shell="--images FOLDER",
        )
    dataset = None
    if data is not None and found.encodes:
        dataset = _images(data, found, progress)
    built = _built(found, halves, wishes, dataset, data, progress)
    notes = found.notes
    if not found.encodes and data is not None:
        notes += ("The images are not used, as there is no encoder to encode them with.",)
    fit = None
    if dataset is not None:
        fit = fit_noise(built.model, dataset.train, progress)
        notes += fit.complaints(built.model, dataset.train)
    run = store.create(name or store.free_name(_wish(paths)), complete(built.config))
    try:
        with run.lock():
            _write(run, built, found, door, paths, notes, progress)
    except BaseException:
        run.delete()
        raise
    return Bringing(run, door, fit, notes)


def _wish(paths: Sequence[Path]) -> str:
    path = paths[0].absolute()
    stem = path.name if path.is_dir() else path.stem
    own = stem if stem not in ("encoder", "decoder", "generator", "vae") else path.parent.name
    return plain_name(own) or "brought"


def _halves(found: Found, door: Door, paths: Sequence[Path], trusted: bool) -> Halves | None:
    """What runs a network that is kept as it came; None for one that is rebuilt here."""
    if not found.kind:
        return None
    kind, given = kinds[found.kind], Given(found.files, paths[0].absolute().parent)
    if kind.executes:
        if not trusted:
            raise UserError(
                f"{paths[0]} is code ({door.label}) and may do anything when it runs. If you trust "
                "whoever wrote it, say so; else export its encoder and decoder as ONNX.",
                shell="--trust",
            )
        trust(given.digest)
    return kind.build(given)


# --- images ----------------------------------------------------------------------------------


def _images(data: DataConfig, found: Found, progress: Progress) -> Dataset:
    """The images in the size that the network takes, else in their own."""
    channels, *sides = found.image_shape
    update: dict[str, Any] = {} if channels is None else {"channels": channels}
    fixed = [side for side in sides if side is not None]
    if len(fixed) == 2:
        update["image_size"] = fixed
    elif data.size is None and data.dataset == OWN and data.data_dir is not None:
        update["image_size"] = _common_size(data, found.multiple, progress)
    data = DataConfig.model_validate(data.model_dump() | update)
    dataset = load_dataset(data, progress)
    height, width = dataset.image_shape[1:]
    step = found.multiple
    if (height % step or width % step) and len(fixed) < 2:
        fitting = [max(step, side // step * step) for side in (height, width)]
        data = DataConfig.model_validate(data.model_dump() | {"image_size": fitting})
        dataset = load_dataset(data, progress)
    return replace(dataset, resolved=dataset.resolved or data)


def _common_size(data: DataConfig, multiple: int, progress: Progress) -> list[int]:
    """The size that most pictures have, within what a picture may have, in multiples."""
    with open_images(data_folder(data.data_dir), progress, data.pages) as listing:
        sizes = Counter(kept_survey(listing, progress).sizes)
    if not sizes:
        raise UserError(f"There are no images in {data.data_dir}.")
    (height, width), _ = sizes.most_common(1)[0]
    scale = min(1.0, MOST_SIDE / max(height, width))
    least = -(-LEAST_SIDE // multiple) * multiple
    return [max(least, round(side * scale) // multiple * multiple) for side in (height, width)]


# --- the model -------------------------------------------------------------------------------


def _built(
    found: Found,
    halves: Halves | None,
    wishes: Wishes,
    dataset: Dataset | None,
    data: DataConfig | None,
    progress: Progress,
) -> _Built:
    """The model with its weights or its halves, in evaluation mode."""
    objective, model = dict(found.objective), dict(found.model)
    card = None if dataset is None else _card(dataset)
    images = None if dataset is None else dataset.train
    if halves is not None:
        progress("Trying the network", None)
        shape = None if card is None else card.image_shape
        facts = probed(halves, objective, shape, images, wishes.latent_shape)
        objective |= {"latent_shape": facts.latent_shape, "posterior": facts.posterior}
        model |= {"latent_dim": min(1024, facts.latent_shape[0])}
        model |= {"likelihood": "gaussian-optimal", "output": "identity"}
        card = card or DataCard(
            dataset=NO_IMAGES, image_shape=facts.image_shape, n_train=0, n_validation=0
        )
    assert card is not None, "a network that is rebuilt has an encoder, and so there are images"
    resolved = DataConfig(dataset=NO_IMAGES, channels=card.image_shape[0])
    if dataset is not None and dataset.resolved is not None:
        resolved = dataset.resolved
    config = RunConfig.model_validate(
        {"family": found.family, "data": resolved, "model": model, "objective": objective}
    )
    require_memory_to_open(config, card)
    shapes = {
        key: tuple(value.shape)
        for key, value in build_on_meta(config, card)[0].state_dict().items()
        if not key.startswith("likelihood.")
    }
    own = found.weights(shapes) if found.weights is not None else {}
    network, measured = build(config, card)
    if own:
        network.load_state_dict(network.state_dict() | own)
    _require_numbers(own.values())
    if isinstance(network, GivenModel) and halves is not None:
        network.connect(halves)
    network, measured = network.eval(), measured.eval()
    return _Built(config, card, network, measured, dataset)


def _require_numbers(weights: Iterable[Tensor]) -> None:
    if not all(each.isfinite().all() for each in weights):
        raise UserError("Weights of this network are no numbers; its training diverged.")


def _card(dataset: Dataset) -> DataCard:
    digest = PartDigests(**record_splits(dataset).digest())
    return data_card(dataset).model_copy(update={"digest": digest})


# --- the run ---------------------------------------------------------------------------------


def _write(
    run: Run,
    built: _Built,
    found: Found,
    door: Door,
    paths: Sequence[Path],
    notes: tuple[str, ...],
    progress: Progress,
) -> None:
    dataset, model = built.dataset, built.model
    digest = digest_of(found.files.items()) if found.files else ""
    source = paths[0].absolute().name
    brought = Brought(kind=door.name, source=source[:1000], digest=digest, notes=notes)
    run.write_json(layout.BROUGHT, brought)
    run.write_json(layout.DATA_CARD, built.card)
    for name, content in found.files.items():
        run.write_bytes(layout.given(name), content)
    if dataset is not None:
        run.write_bytes(PARTS, record_splits(dataset).to_bytes())
    save_environment(run, "cpu", images_on_device=False)
    tensors = {name: each.contiguous() for name, each in model.state_dict().items()}
    run.write_bytes(WEIGHTS, save(tensors, {"step": str(STEP)}))
    if dataset is None:
        write_drawn(run, model, STEP, progress)
    else:
        write_encoded(run, model, dataset, STEP, progress)
        context = Context(STEP, torch.Generator().manual_seed(0), train_images=len(dataset.train))
        part: ImageSet = dataset.validation
        save_measurement(run, model, built.objective, part, context, STEP, progress)
    run.set_status(Status(state="finished", step=STEP, total_steps=STEP))
