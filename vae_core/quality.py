"""How like held-out images the pictures of a run are: its samples from every prior, and its
reconstructions, beside training images; kept for the weights that made them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vae_core.data import Images, ImageSet, Progress, no_progress
from vae_core.data.batches import batches_in_order, labelled
from vae_core.data.hashes import hash_rows
from vae_core.data.images import drawn
from vae_core.errors import UserError
from vae_core.imaging.png import to_bytes
from vae_core.latent.priors import priors as known_priors
from vae_core.latent.priors import sample, suitable
from vae_core.loading import WHICH, LoadedRun, load_part, load_run
from vae_core.metrics.quality import (
    AUTO,
    LEVEL,
    RESAMPLES,
    Features,
    Figures,
    Reference,
    compare,
    feature_kinds,
    features_of,
)
from vae_core.metrics.quality.features import content_of
from vae_core.metrics.quality.manifold import LEAST_IMAGES
from vae_core.progress import within
from vae_core.runs import Folder, Run, Tensors, derived, in_words, layout
from vae_core.runs.schemas import Count, Number, Short, Stored

VERSION = 1
RECONSTRUCTIONS, TRAINING = "reconstructions", "training"
"""What is measured beside samples. Training images tell what pictures as good as the data have."""

MOST_HELD_OUT = 5000
"""Held-out images, and pictures where nobody names a number: FID's bias falls with both."""

MOST_TRAINING, MOST_VALUES = 50_000, 2**25
"""Training images that are looked at for copies, and values of all their features: 268 MB."""

BATCH = 256
SEED = 0

LEARNING = 0.3
"""Of the time, the first of a data set: features are learned."""

INTERVAL = (
    f"Intervals hold {LEVEL:.0%} of the time over other images and other pictures of this run "
    f"({RESAMPLES} bootstrap draws, Wilson's for shares). They do not include another training of "
    "the model or of the features, the neighbourhoods that pictures are counted in, nor the bias "
    "of FID, which is told beside it."
)


class FeaturesTold(Stored):
    """What pictures were compared by. Figures can be held against each other where the digest is
    the same."""

    name: Short
    said: Short
    size: Count
    digest: Short
    accuracy: Number = None
    accuracy_images: Count = 0


class Quality(Stored):
    """What was measured of one kind of pictures of a run.

    of: the name of a prior, `RECONSTRUCTIONS` or `TRAINING`. held_out: images of `split` that they
    were compared with; training: images that were looked at for copies.
    """

    of: Short
    features: FeaturesTold
    split: Short
    held_out: Count
    training: Count
    figures: Figures
    notes: tuple[Short, ...] = ()


@dataclass(frozen=True)
class Compared:
    """All that was asked for at once; `notes` are of now, such as a prior that nobody has learned
    yet, and are not kept."""

    measured: tuple[Quality, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Source:
    """Pictures to be measured: `count` of them, uint8 [≤ `BATCH`, C, H, W] at a time. is_new:
    whether they should not be copies of training images."""

    name: str
    title: str
    count: int
    pictures: Callable[[], Iterable[np.ndarray]]
    is_new: bool


def measure_quality(
    run: Run,
    split: str = "validation",
    data_dir: str | None = None,
    which: str = "last",
    samples: int | None = None,
    priors: Sequence[str] = (),
    features: str = AUTO,
    progress: Progress = no_progress,
) -> Compared:
    """Compare a run's pictures with held-out images; what is known of the present weights is taken
    from the cache.

    Args:
        split: of the held-out images, validation or test.
        data_dir: where the run's data set lies on this machine, in place of where it lay.
        samples: pictures of each prior, as many as held-out images by default.
        priors: names of those to draw from; all that there are by default.
        features: the kind of features, see `features_of`.

    Raises:
        UserError: when the data set is not present, a prior or features are named that there are
            not, images or pictures are too few, or pictures are no numbers.
    """
    for name in priors:
        known_priors[name]  # a wrong name is told before any work
    loaded = load_run(run, which=which).sound()
    dataset, part = load_part(run, split, data_dir, progress)
    for each, name in ((part, split), (dataset.train, "train")):
        if len(each) < LEAST_IMAGES:
            raise UserError(
                f"Run {run.id!r} has {in_words(len(each), name)}; comparing pictures with them "
                f"needs {LEAST_IMAGES}. Train it on more images, or hold more of them out."
            )
    found = features_of(dataset, features, within(progress, 0.0, LEARNING))
    held_out = drawn(part, MOST_HELD_OUT, SEED)
    most = min(MOST_TRAINING, MOST_VALUES // found.size)
    training = drawn(dataset.train, most, SEED)
    own = data_dir is None or dataset.difference is None  # else it is another data set
    measuring = _Measuring(loaded, found, split, held_out, training, which, own)
    sources, missing = _sources(loaded, held_out, dataset.train, samples, priors)
    measured = []
    for done, source in enumerate(sources):

        def of_source(
            message: str, share: float | None, done: int = done, title: str = source.title
        ) -> None:
            told = (done + (share or 0.0)) / len(sources)
            progress(f"{message}: {title}", LEARNING + (1.0 - LEARNING) * told)

        measured.append(measuring.measured(source, of_source))
    changed = () if dataset.difference is None else (dataset.difference.sentence,)
    return Compared(tuple(measured), (*changed, *missing))


def kept_quality(
    run: Run, split: str = "validation", which: str = "last", of: Sequence[str] = ()
) -> tuple[Quality, ...]:
    """What is known by now of the run's present weights and priors, held against images of this
    part, `of` these pictures or all that there may be; no data set is needed."""
    cache = _Cache(run, split, which)
    names = of or (TRAINING, RECONSTRUCTIONS, *(entry.name for entry in known_priors))
    found = (cache.find(kind.name, name) for kind in feature_kinds for name in names)
    return tuple(each for each in found if each is not None)


def report(compared: Compared) -> dict[str, Any]:
    """What `evaluate --quality --json` says of what was measured at once."""
    measured = compared.measured
    first = measured[0]
    return {
        "features": first.features.model_dump(),
        "split": first.split,
        "images": first.held_out,
        "training_images": first.training,
        "level": LEVEL,
        "interval": INTERVAL,
        "of": {each.of: each.figures.model_dump() for each in measured},
        "notes": list(
            dict.fromkeys((*compared.notes, *(note for each in measured for note in each.notes)))
        ),
    }


@dataclass(frozen=True)
class Tradeoff:
    """A run in the plane of rate and distortion, and how natural what it makes is.

    rate: KL, distortion: −log p(x|z), both in nats per image; mse on the [0, 1] scale. perception:
    FID of its reconstructions; samples: FID of pictures from its own prior. Those of runs whose
    `features` have one digest can be held against each other.

    Source: Alemi et al., Fixing a Broken ELBO (2018), for rate and distortion; Blau and Michaeli,
    Rethinking Lossy Compression: The Rate-Distortion-Perception Tradeoff (2019), for the third.
    """

    run: str
    rate: float | None
    distortion: float | None
    mse: float | None
    perception: float | None
    samples: float | None
    features: str


def tradeoffs(runs: Sequence[Run]) -> tuple[Tradeoff, ...]:
    """Rate, distortion and perception of each run that has been measured, one for each kind of
    features that it was measured by; nothing is measured here.

    Raises:
        UserError: when a file of a run is damaged.
    """
    found = []
    for run in runs:
        summary, kept = run.summary(), kept_quality(run)
        for digest in dict.fromkeys(each.features.digest for each in kept):
            fids = {
                each.of: each.figures.fid.value
                for each in kept
                if each.features.digest == digest and each.figures.fid is not None
            }
            found.append(
                Tradeoff(
                    run.id,
                    summary.get("kl"),
                    summary.get("recon"),
                    summary.get("mse"),
                    fids.get(RECONSTRUCTIONS),
                    fids.get("model"),
                    digest,
                )
            )
    return tuple(found)


# --- which pictures -------------------------------------------------------------------------------


def _sources(
    loaded: LoadedRun,
    held_out: ImageSet,
    train: ImageSet,
    samples: int | None,
    names: Sequence[str],
) -> tuple[list[Source], tuple[str, ...]]:
    """Training images, reconstructions, and samples of each prior; and what is missing."""
    model, count = loaded.model, len(held_out)
    beside = drawn(train, count, SEED + 1)
    found = [
        Source(TRAINING, "training images", len(beside), partial(_pixels, beside.images), False)
    ]
    if not model.no_encoder:
        found.append(
            Source(
                RECONSTRUCTIONS,
                "reconstructions",
                count,
                partial(_reconstructions, loaded, held_out),
                False,
            )
        )
    missing = []
    for name in names or suitable(model):
        try:
            sample(loaded.run, model, name, 1, torch.Generator().manual_seed(SEED))
        except UserError as error:
            if names:
                raise
            missing.append(f"There are no samples of the prior {name!r}. {error}")
            continue
        n = samples or count
        found.append(
            Source(
                name,
                f"samples of the prior {name!r}",
                n,
                partial(_samples, loaded, name, n, held_out.labels),
                True,
            )
        )
    return found, tuple(missing)


def _pixels(images: Images) -> Iterator[np.ndarray]:
    for rows in batches_in_order(images.shape, BATCH):
        yield images.gather(rows)


@torch.inference_mode()
def _reconstructions(loaded: LoadedRun, part: ImageSet) -> Iterator[np.ndarray]:
    """What images are decoded to from the mode of their posterior."""
    for x, labels in labelled(part, BATCH, loaded.model.device):
        model = loaded.model.conditioned(labels)
        yield _shown(loaded, model.decode(model.encode(x).mode()))


@torch.inference_mode()
def _samples(
    loaded: LoadedRun, prior: str, n: int, labels: np.ndarray | None
) -> Iterator[np.ndarray]:
    """n pictures of latents drawn from a prior; a model that is told labels is told those of
    held-out images, int64 [N], as often as these have them."""
    generator = torch.Generator().manual_seed(SEED)
    for rows in batches_in_order((n, *loaded.model.image_shape), BATCH):
        model = loaded.model
        z = sample(loaded.run, model, prior, len(rows), generator)
        if model.labels and labels is not None:
            model = model.conditioned(torch.from_numpy(labels[rows % len(labels)]))
        yield _shown(loaded, model.decode(z))


def _shown(loaded: LoadedRun, x_logits: Tensor) -> np.ndarray:
    """Logits as pictures, uint8 [B, C, H, W].

    Raises:
        UserError: when some are no numbers.
    """
    pictures = loaded.model.picture(x_logits)
    if lost := int((~pictures.flatten(1).isfinite().all(1)).sum()):
        raise UserError(
            f"{lost} of {len(pictures)} pictures of run {loaded.run.id!r} are no numbers, so that "
            "nothing can be compared. Train again with a smaller learning rate."
        )
    return to_bytes(pictures)


# --- measuring, and what is kept of it ------------------------------------------------------------


class _Measuring:
    """One run's pictures against one set of images; their features are made when they are first
    needed."""

    def __init__(
        self,
        loaded: LoadedRun,
        features: Features,
        split: str,
        held_out: ImageSet,
        training: ImageSet,
        which: str,
        own: bool,
    ) -> None:
        """`own`: whether the images are the run's, so that what is measured is kept with it."""
        self.loaded, self.features, self.split, self.own = loaded, features, split, own
        self.cache = _Cache(loaded.run, split, which)
        self.held_out, self.training = held_out, training
        self.images = content_of(held_out, training).id
        self._reference: Reference | None = None

    def measured(self, source: Source, progress: Progress = no_progress) -> Quality:
        """From the cache where the same was asked before."""
        features = self.features
        asked = f"{self.images} {features.digest} {source.count}"
        kept = self.cache.find(features.name, source.name, asked)
        if kept is not None:
            return kept
        made, distinct = self._features_of(source, progress)
        figures = compare(made, distinct, self.reference(progress), not source.is_new, progress)
        quality = Quality(
            of=source.name,
            features=FeaturesTold(
                **{name: getattr(features, name) for name in FeaturesTold.model_fields}
            ),
            split=self.split,
            held_out=len(self.held_out),
            training=len(self.training),
            figures=figures,
            notes=tuple(self._remarks(source, figures)),
        )
        if self.own:
            self.cache.keep(quality, asked)
        return quality

    def reference(self, progress: Progress) -> Reference:
        if self._reference is None:
            parts = (self.held_out, "held-out images"), (self.training, "training images")
            self._reference = Reference(
                *(
                    self.features.of(
                        _pixels(part.images), len(part), f"Looking at the {name}", progress
                    )
                    for part, name in parts
                )
            )
        return self._reference

    def _features_of(self, source: Source, progress: Progress) -> tuple[np.ndarray, int]:
        """Features [N, D] of a source's pictures, and how many of these differ."""
        hashes: list[np.ndarray] = []

        def noted() -> Iterator[np.ndarray]:
            for pictures in source.pictures():
                hashes.append(hash_rows(pictures))
                yield pictures

        made = self.features.of(noted(), source.count, "Making and looking at pictures", progress)
        return made, len(np.unique(np.concatenate(hashes)))

    def _remarks(self, source: Source, figures: Figures) -> Iterator[str]:
        """What has to be known beside the figures, a sentence each."""
        size, model = self.features.size, self.loaded.model
        if figures.fid is None:
            fewest = min(source.count, len(self.held_out))
            yield (
                f"No FID of {source.title}: covariances of {size} features need more than {size} "
                f"images on both sides, and there are {fewest}. KID has no such bound."
            )
        if figures.distinct == 1:
            yield f"All {figures.pictures} {source.title} show the same."
        elif figures.distinct < figures.pictures / 2:
            yield (
                f"Of {figures.pictures} {source.title} only {figures.distinct} are different "
                "pictures."
            )
        if self.loaded.config.data.binarise != "none" and source.name != TRAINING:
            yield (
                "The images are black and white, and pictures show chances of white: they are "
                "compared in grey, which is part of every distance."
            )
        if self.held_out.boxes is not None:
            yield "The padding beside pictures is compared as well, which nothing has taught."
        if source.is_new and self.loaded.card.n_train > len(self.training):
            yield (
                f"Copies were looked for among {len(self.training)} of {self.loaded.card.n_train} "
                "training images."
            )
        if source.name == "model" and model.no_density:
            yield f"{model.no_density} Samples are drawn from a guess."


class _Cache:
    """What was measured of a run, by its present weights and priors."""

    def __init__(self, run: Run, split: str, which: str) -> None:
        self.run, self.split, self.which = run, split, which
        self.weights = derived.fingerprint(run, WHICH[which])
        self.places: list[Folder] = [run]
        with suppress(UserError):  # there can be no cache
            self.places.insert(0, derived.derived_folder(run))

    def find(self, features: str, of: str, asked: str | None = None) -> Quality | None:
        """The figures of these pictures; of the same images, features and number of pictures alone
        where `asked` says which."""
        made_of = self._made_of(of)

        def read(file: Tensors) -> Quality | None:
            known = file.metadata
            if not made_of.items() <= known.items() or asked not in (None, known.get("asked")):
                return None
            text = file.array("quality", "U8", (None,)).tobytes()
            found = Quality.model_validate_json(text)  # a ValidationError is a ValueError
            return found if (found.of, found.features.name) == (of, features) else None

        return derived.find(self.run, self._name(features, of), read)

    def keep(self, quality: Quality, asked: str) -> None:
        """Keep what was measured just now."""
        name = self._name(quality.features.name, quality.of)
        arrays = {"quality": np.frombuffer(quality.model_dump_json().encode(), np.uint8)}
        derived.keep(self.run, name, arrays, self._made_of(quality.of) | {"asked": asked})

    def _name(self, features: str, of: str) -> str:
        return layout.quality(self.which, self.split, features, of)

    def _made_of(self, of: str) -> dict[str, str]:
        """The weights, and the fitted prior where samples are of one: it may be learned anew."""
        fitted = (derived.fingerprint(place, layout.prior(of)) for place in self.places)
        return {
            "version": str(VERSION),
            "weights": self.weights,
            "prior": next(filter(None, fitted), ""),
        }
