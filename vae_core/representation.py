"""What the codes of a run tell: of the images, of each other, of labels, and of known factors.

Where a run has posteriors, the rate is taken apart. Where its images have labels, these are read
from codes, from pixels and from principal components. Where their factors are known, dimensions are
scored against these. What cannot be measured is said in a sentence. The report is kept in the
cache (`runs/derived.py`) until the weights are others.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field, ValidationError

from vae_core.data import Dataset, ImageSet, Progress, no_progress
from vae_core.data.images import subset
from vae_core.errors import UserError
from vae_core.progress import within
from vae_core.runs import BEST, WEIGHTS, Run, Tensors, derived, layout, part_name
from vae_core.runs.schemas import Count, Number, Short, Stored
from vae_core.scoring import LEAST_IMAGES, PART, score, scores
from vae_core.units import grouped

if TYPE_CHECKING:
    from vae_core.loading import LoadedRun
    from vae_core.metrics.decomposition import Decomposition, Estimator

Protocol = Literal["quick", "locatello"]

LEARNED, ASKED = 5_000, 5_000
"""Images that a probe learns from, and that it is asked of, at most."""

FEW_DRAWS = 0.5
"""Nats between what I(x; z) is at least and at most, above which more images would tell more."""

MOST_DIMS = 1 << 16

PerDimension = Annotated[list[Number], Field(max_length=MOST_DIMS)]
Sentences = Annotated[list[Short], Field(max_length=100)]


class Range(Stored):
    """A figure in nats, as `Estimate` has it."""

    value: Number
    se: Number
    low: Number = None
    high: Number = None


class Aggregate(Stored):
    """The parts of the rate, as `Decomposition` has them."""

    estimator: Short
    images: Count
    draws: Count
    dims: Count
    batch: Count
    rate: Range
    mutual_information: Range
    marginal_kl: Range
    total_correlation: Range | None = None
    dimension_wise_kl: Range | None = None
    information_per_dim: PerDimension | None = None
    kl_per_dim: PerDimension | None = None


class Share(Stored):
    """An accuracy, as `Accuracy` has it."""

    value: Number
    low: Number
    high: Number
    images: Count
    setting: Number


class Probe(Stored):
    """What was read from one kind of features."""

    features: Short
    dims: Count
    linear: Share
    neighbours: Share


class Probes(Stored):
    """learned: images that labels were learned from. classes: how many labels they had. chance: the
    share of the commonest of these among the images asked."""

    learned: Count
    asked: Count
    classes: Count
    chance: Number
    of: Annotated[list[Probe], Field(max_length=10)]


class Published(Stored):
    """The scores of the published protocol. gaps: MIG of each factor, by convention."""

    known: Count
    unseen: Count
    scores: dict[Short, Number]
    gaps: dict[Short, dict[Short, Number]]


class Representation(Stored):
    """What `represent` keeps."""

    split: Short
    images: Count
    step: Count
    latent_dim: Count
    aggregate: Aggregate | None = None
    gaussian_total_correlation: dict[Short, Number] = Field(default_factory=dict)
    probes: Probes | None = None
    locatello: Published | None = None
    remarks: Sentences


def representation(
    run: Run, split: str = PART, which: str = "last", estimator: str = "full"
) -> dict[str, Any]:
    """What was measured of the run's present weights, {} before that; with the quick scores, where
    there are some, as `quick`."""
    made_of = _made_of(run, which, estimator)

    def read(file: Tensors) -> dict[str, Any] | None:
        if any(file.metadata.get(key) != value for key, value in made_of.items()):
            return None
        text = file.array("report", "U8", (None,)).tobytes()
        try:
            return Representation.model_validate_json(text).model_dump(mode="json")
        except ValidationError:
            return None

    found = derived.find(run, layout.representation(split), read) or {}
    return _with_quick(found, run, which)


def _with_quick(found: dict[str, Any], run: Run, which: str) -> dict[str, Any]:
    quick = scores(run) if found and which == "last" and found["split"] == PART else {}
    return found | ({"quick": quick} if quick else {})


def _made_of(run: Run, which: str, estimator: str) -> dict[str, str]:
    file = BEST if which == "best" else WEIGHTS
    return {"weights": derived.fingerprint(run, file), "which": which, "estimator": estimator}


def represent(
    run: Run,
    split: str = PART,
    data_dir: str | None = None,
    which: str = "last",
    protocol: Protocol = "quick",
    estimator: Estimator = "full",
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Measure what the codes of a part's images tell, or take what was measured before.

    Args:
        protocol: locatello adds the scores of a published protocol, of the factors of 15 000 images
            of the whole data set, within minutes.
        estimator: of q(z), see `decompose`.

    Returns:
        What `Representation` has, and the quick scores as `quick`.

    Raises:
        UserError: where the run has no weights, no encoder, or no sound ones; the data set is not
            present; or the protocol is asked for and the data set has no factors.
    """
    from vae_core.loading import load_part, load_run

    kept = representation(run, split, which, estimator)
    if data_dir is not None:  # other images may lie there
        kept = {}
    if kept and (protocol == "quick" or kept["locatello"] is not None):
        return kept
    loaded = load_run(run, which=which).sound()
    if loaded.model.no_encoder:
        raise UserError(f"Nothing encodes the images of run {run.id!r}. {loaded.model.no_encoder}")
    if protocol == "locatello" and not loaded.card.factor_names:
        raise UserError(
            f"{loaded.card.dataset} has no known factors, by which the protocol of Locatello et "
            f"al. would score run {run.id!r}. Measure it without.",
            shell="--representation",
        )
    dataset, part = load_part(run, split, data_dir, progress)
    share = 0.4 if protocol == "locatello" else 1.0
    found = kept or _measured(
        loaded, dataset, part, split, which, estimator, within(progress, 0, share)
    )
    if protocol == "locatello":
        told, remarks = _locatello(loaded, dataset, within(progress, 0.0 if kept else share, 1.0))
        found |= {"locatello": told, "remarks": [*found["remarks"], *remarks]}
    found.pop("quick", None)
    report = Representation.model_validate(found).model_dump_json()
    if data_dir is None or dataset.difference is None:  # else they are of another data set
        arrays = {"report": np.frombuffer(report.encode(), np.uint8)}
        derived.keep(run, layout.representation(split), arrays, _made_of(run, which, estimator))
    return _with_quick(json.loads(report), run, which)


def _measured(
    loaded: LoadedRun,
    dataset: Dataset,
    part: ImageSet,
    split: str,
    which: str,
    estimator: Estimator,
    progress: Progress,
) -> dict[str, Any]:
    """All but the published protocol."""
    aggregate, remarks = _aggregate(loaded, part, estimator, within(progress, 0.0, 0.3))
    correlations = _gaussian(loaded, part, within(progress, 0.3, 0.35))
    probes, more = _probes(loaded, dataset, part, within(progress, 0.35, 0.8))
    remarks += more
    if dataset.difference:
        remarks.append(dataset.difference.sentence)
    remarks += _quick(loaded, split, which, within(progress, 0.8, 1.0))
    return {
        "split": split,
        "images": len(part),
        "step": loaded.step,
        "latent_dim": loaded.model.latent_size,
        "aggregate": aggregate,
        "gaussian_total_correlation": correlations,
        "probes": probes,
        "locatello": None,
        "remarks": remarks,
    }


def _some(part: ImageSet, most: int, seed: int = 0) -> ImageSet:
    """At most so many images of a part, in random order."""
    rows = np.random.default_rng(seed).permutation(len(part))[:most]
    return subset(part, rows)


# --- the aggregated posterior ---------------------------------------------------------------------


def _aggregate(
    loaded: LoadedRun, part: ImageSet, estimator: Estimator, progress: Progress
) -> tuple[dict[str, Any] | None, list[str]]:
    import torch

    from vae_core.metrics.decomposition import affordable, decompose, posteriors

    model = loaded.model
    images, draws = affordable(len(part), model.latent_size)
    blocks = posteriors(model, _some(part, images), within(progress, 0.0, 0.3))
    prior = model.prior()
    if blocks is None:
        return None, [
            "The codes of this model are points, of which q(z|x) has no density: neither the "
            "mutual information of images and codes nor the KL of q(z) to a prior is defined."
        ]
    if len(part) < 2:
        return None, ["q(z) is a mixture over images, and there is one alone."]
    found = decompose(
        blocks, prior, draws, estimator, loaded.card.n_train,
        torch.Generator(model.device).manual_seed(0), within(progress, 0.3, 1.0),
    )  # fmt: skip
    if not math.isfinite(found.rate.value):
        raise UserError(f"The posteriors of run {loaded.run.id!r} are not finite: it diverged.")
    per_dim = ("information_per_dim", "kl_per_dim")
    told = asdict(found) | {
        name: None if (each := getattr(found, name)) is None else each.tolist() for name in per_dim
    }
    return told, [*_about(found, model.latent_size)]


def _about(found: Decomposition, latent_size: int) -> list[str]:
    """What has to be known beside the parts of the rate."""
    said = []
    mi = found.mutual_information
    if found.dims < latent_size:
        said.append(
            f"The parts of the rate are those of the coarsest level, {found.dims} of {latent_size} "
            "dimensions: what finer levels mean depends on it."
        )
    if found.total_correlation is None:
        said.append(
            "Single dimensions of this posterior have no density in closed form: there is neither "
            "a total correlation nor a KL by dimension."
        )
    if mi.high is not None and mi.low is not None and mi.high - mi.low > FEW_DRAWS:
        said.append(
            f"Of {grouped(found.images)} images no code tells more than log N = "
            f"{math.log(found.images):.3g} nats. Of all images that there could be I(x; z) is "
            f"{mi.low:.3g} to {mi.high:.3g} nats; only more images would narrow that."
        )
    if found.estimator != "full":
        said.append(
            f"q(z) was estimated from minibatches of {found.batch} ({found.estimator}), as "
            "β-TCVAE trains by; the full mixture is exact."
        )
    return said


def _gaussian(loaded: LoadedRun, part: ImageSet, progress: Progress) -> dict[str, float]:
    from vae_core.latent.survey import finite
    from vae_core.metrics.decomposition import gaussian_total_correlation
    from vae_core.metrics.disentanglement import encoded

    codes = encoded(loaded.model, _some(part, ASKED), progress)
    finite(codes.means, "encoding")
    return {name: gaussian_total_correlation(each) for name, each in codes.kinds().items()}


# --- labels ---------------------------------------------------------------------------------------


def _probes(
    loaded: LoadedRun, dataset: Dataset, part: ImageSet, progress: Progress
) -> tuple[dict[str, Any] | None, list[str]]:
    from vae_core.metrics.disentanglement import encoded
    from vae_core.metrics.probes import (
        Labelled,
        linear_probe,
        neighbour_probe,
        pixels,
        principal,
    )

    learned, asked = _with_labels(dataset.train, LEARNED), _with_labels(part, ASKED)
    if learned is None or asked is None:
        return None, ["The images have no labels that codes could be asked for."]
    assert learned.labels is not None and asked.labels is not None
    counts = np.unique(asked.labels, return_counts=True)[1]
    if len(np.unique(learned.labels)) < 2:
        return None, ["All training images have the same label, which any code tells."]
    sets = (learned, asked)
    codes = [
        encoded(loaded.model, each, within(progress, 0.15 * i, 0.15 * (i + 1))).means
        for i, each in enumerate(sets)
    ]
    pictures = [pixels(each.images.gather(np.arange(len(each)))) for each in sets]
    size = "×".join(map(str, _shown_size(learned)))
    features = {
        "codes": codes,
        f"pixels, {size}": pictures,
        "principal components": [*principal(pictures[0], pictures[1], loaded.model.latent_size)],
    }
    found = []
    for i, (name, (known, unseen)) in enumerate(features.items()):
        both = Labelled(known, learned.labels), Labelled(unseen, asked.labels)
        start, end = (0.3 + 0.7 * (i + j) / len(features) for j in (0, 1))
        middle = (start + end) / 2
        found.append({
            "features": name,
            "dims": known.shape[1],
            "linear": asdict(linear_probe(*both, within(progress, start, middle))),
            "neighbours": asdict(neighbour_probe(*both, within(progress, middle, end))),
        })  # fmt: skip
    remarks = []
    if loaded.model.labels:
        remarks.append(
            "The encoder is told the label of an image: what a probe reads from the code is what "
            "it has put there all the same."
        )
    return {
        "learned": len(learned),
        "asked": len(asked),
        "classes": len(np.unique(learned.labels)),
        "chance": float(counts.max() / counts.sum()),
        "of": found,
    }, remarks


def _with_labels(part: ImageSet, most: int) -> ImageSet | None:
    """At most so many of the images whose label is known, in random order; None without any."""
    if part.labels is None or not (part.labels >= 0).any():
        return None
    return _some(subset(part, np.flatnonzero(part.labels >= 0)), most)


def _shown_size(part: ImageSet) -> tuple[int, int]:
    from vae_core.imaging.resize import thumbnail_size
    from vae_core.metrics.probes import SIDE

    height, width = part.images.shape[2:]
    return thumbnail_size((height, width), SIDE)


# --- factors --------------------------------------------------------------------------------------


def _quick(loaded: LoadedRun, split: str, which: str, progress: Progress) -> list[str]:
    """See that the quick scores are there, where they can be; what is said where they cannot."""
    if not loaded.card.factor_names:
        return [
            "What the images were drawn from is not known, so dimensions are not scored against "
            "factors."
        ]
    if (split, which) != (PART, "last"):
        return [
            f"Scores against known factors are of the last weights and {part_name(PART)} images."
        ]
    try:
        if not scores(loaded.run):
            score(loaded.run, progress)
    except UserError as error:  # too few images, or collapsed
        return [str(error)]
    return []


def _locatello(
    loaded: LoadedRun, dataset: Dataset, progress: Progress
) -> tuple[dict[str, Any], list[str]]:
    from vae_core.metrics.decomposition import posteriors
    from vae_core.metrics.disentanglement import Points, Widths, encoded, published_scores
    from vae_core.metrics.disentanglement.locatello import KNOWN, UNSEEN

    known_set, unseen_set = _drawn(dataset, KNOWN, UNSEEN)
    if min(map(_count, (known_set, unseen_set))) < LEAST_IMAGES:
        raise UserError(
            f"Run {loaded.run.id!r} has too few images to be scored by the protocol: it takes "
            f"{3 * LEAST_IMAGES} and more. Train on more images (data.limit)."
        )
    codes = [
        [encoded(loaded.model, each, within(progress, 0.03 * i, 0.03 * (i + 1))) for each in parts]
        for i, parts in enumerate((known_set, unseen_set))
    ]
    known, unseen = (
        Points(
            np.concatenate([each.means for each in of_parts]),
            np.concatenate([each.factors for each in parts if each.factors is not None]),
        )
        for of_parts, parts in zip(codes, (known_set, unseen_set), strict=True)
    )
    one = posteriors(loaded.model, subset(known_set[0], np.arange(2)))
    # Of posteriors whose dimensions are Gaussian, all of them of the image alone.
    gaussian = one is not None and one[0].log_densities(one[0].mode()[None])[1] is not None
    gaussian = gaussian and one is not None and one[0].mode()[0].numel() == loaded.model.latent_size
    widths = None
    if gaussian:
        arrays = ([getattr(each, name) for each in codes[0]] for name in ("logvar", "samples"))
        widths = Widths(*(np.concatenate(each) for each in arrays))
    found = published_scores(known, unseen, widths, progress=within(progress, 0.06, 1.0))
    names = [dataset.factor_names[k] for k in found.varied]
    remarks = [
        f"The protocol of Locatello et al. (2019): {grouped(len(known.codes))} images to learn "
        f"from and {grouped(len(unseen.codes))} to test on, drawn from all images of the data set, "
        "those that the run learned from among them; means as codes, factors as classes."
    ]
    if widths is None:
        remarks.append("MIG of draws needs Gaussian posteriors of the image alone.")
    return {
        "known": len(known.codes),
        "unseen": len(unseen.codes),
        "scores": found.scores,
        "gaps": {
            convention: dict(zip(names, each.tolist(), strict=True))
            for convention, each in found.gaps.items()
        },
    }, remarks


def _count(parts: Sequence[ImageSet]) -> int:
    return sum(map(len, parts))


def _drawn(dataset: Dataset, known: int, unseen: int) -> tuple[list[ImageSet], list[ImageSet]]:
    """Images drawn at random from all parts together, to learn from and to test on: so many, or
    fewer in the same proportion, as parts of the parts."""
    parts = list(dataset.parts.values())
    sizes = [len(part) for part in parts]
    most = min(sum(sizes), known + unseen)
    drawn = np.random.default_rng(0).permutation(sum(sizes))[:most]
    cut = most * known // (known + unseen)
    starts = np.cumsum([0, *sizes])
    found = []
    for rows in (drawn[:cut], drawn[cut:]):
        within_parts = [
            rows[(rows >= start) & (rows < start + size)] - start
            for start, size in zip(starts, sizes, strict=False)
        ]
        found.append(
            [subset(p, mine) for p, mine in zip(parts, within_parts, strict=True) if len(mine)]
        )
    return found[0], found[1]


# --- as a row of a table --------------------------------------------------------------------------


def columns(found: dict[str, Any]) -> dict[str, float | None]:
    """The main figures as one row: {"I(x; z), nats": 9.1, "linear probe": 0.92, …}; {} of {}."""
    row: dict[str, float | None] = {}
    aggregate, probes = found.get("aggregate"), found.get("probes")
    for name, label in PARTS.items():
        if aggregate and aggregate[name]:
            row |= {f"{label}, nats": aggregate[name]["value"], f"{label} ±": aggregate[name]["se"]}
    if probes:
        of_codes = probes["of"][0]
        row |= {
            "linear probe": of_codes["linear"]["value"],
            "k-NN": of_codes["neighbours"]["value"],
        }
    if published := found.get("locatello"):
        row |= {f"{name} (Locatello)": value for name, value in published["scores"].items()}
    return row


PARTS = {
    "mutual_information": "I(x; z)",
    "total_correlation": "total correlation",
    "dimension_wise_kl": "dimension-wise KL",
}
"""The parts of the rate that runs are compared by."""
