"""What codes tell of images, of each other, of labels and of known factors.

All but the scores of factors are measured together, and those together; what is known of a run is
shared with the command `represent` and the page Encodings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from vae_core.errors import UserError
from vae_core.evaluation.measure import Estimate, Request, around, measures
from vae_core.evaluation.subject import SIZES, images_of, without_weights
from vae_core.metrics.importance import can_be_weighed
from vae_core.models import QuantisedModel
from vae_core.progress import Progress
from vae_core.representation import Protocol, represent, representation
from vae_core.runs import Run, in_words
from vae_core.scoring import LEAST_IMAGES
from vae_core.units import grouped

SECONDS_OF_CODES, SECONDS_OF_QUICK_SCORES, SECONDS_OF_FACTORS = 12.0, 20.0, 120.0
"""About, on a core: probes learn from 5 000 images, q(z) is of 10 000 at most and factors are those
of 15 000, whatever the data set. Where factors are known they are scored quickly as well."""

Found = dict[str, Any]
Read = Callable[[Run, Found], Estimate]
Check = Callable[[Run], None]


def _register(
    name: str, read: Read, check: Check, protocol: Protocol, together: str, **facts: Any
) -> None:
    """A figure that is read off the report on a run's codes."""

    def known(run: Run, request: Request) -> Estimate | None:
        found = representation(run, request.split)
        if not found or (protocol == "locatello" and found["locatello"] is None):
            return None
        return read(run, found)

    def may(run: Run, request: Request) -> None:
        model, images = without_weights(run), getattr(run.data_card(), SIZES[request.split])
        if model.no_encoder:
            raise UserError(f"Run {run.id!r} has no codes. {model.no_encoder}")
        if not images:
            raise UserError(f"Run {run.id!r} has {in_words(images, request.split)}.")
        check(run)
        known(run, request)  # what turned out not to be there

    @measures.register(name, kept=known, check=may, together=together, takes=frozenset(), **facts)
    def build(run: Run, request: Request, progress: Progress) -> Estimate:
        found = represent(run, request.split, protocol=protocol, progress=progress)
        return read(run, found)


def _seconds_of_codes(run: Run, request: Request) -> float:
    scored = SECONDS_OF_QUICK_SCORES if run.data_card().factor_names else 0.0
    return SECONDS_OF_CODES + scored


def _seconds_of_factors(run: Run, request: Request) -> float:
    return SECONDS_OF_FACTORS


def _lacking(run: Run, label: str, found: Found) -> UserError:
    return UserError(f"{label} of run {run.id!r} is not known. {' '.join(found['remarks'])}")


# --- the parts of the rate ------------------------------------------------------------------------


def _part(name: str, label: str, blurb: str, better: str, head: str = "") -> None:
    def read(run: Run, found: Found) -> Estimate:
        part = (found["aggregate"] or {}).get(name)
        if part is None:
            raise _lacking(run, label, found)
        images = found["aggregate"]["images"]
        on = in_words(images, found["split"], run.config().data.binarise)
        note = "" if part["low"] is None or part["high"] is None else (
            f"Of all images that there could be {label} is {part['low']:.4g} to "
            f"{part['high']:.4g} nats; intervals are of the draws alone."
        )  # fmt: skip
        told = around(part["value"], part["se"], on, note)
        return replace(told, basis=f"{images_of(run)} {images}")

    _register(
        name.replace("_", "-"), read, _has_densities, "quick", "codes",
        label=label, blurb=blurb, unit="nats", better=better, head=head, of="Codes", order=40,
        seconds=_seconds_of_codes, paper="Hoffman and Johnson (2016); Chen et al. (2018)",
    )  # fmt: skip


def _has_densities(run: Run) -> None:
    model = without_weights(run)
    if not can_be_weighed(model) or isinstance(model, QuantisedModel):
        raise UserError(
            f"The codes of run {run.id!r} are points, of which q(z|x) has no density: the rate has "
            "no parts."
        )


_part(
    "mutual_information",
    "I(x; z)",
    "Mutual information: what a code tells of which image it is.",
    "neither",
    r"$I(x; z)$",
)
_part(
    "total_correlation",
    "Total correlation",
    "What dimensions of the aggregate posterior tell of each other; 0 where they are independent.",
    "lower",
)
_part(
    "dimension_wise_kl",
    "Dimension-wise KL",
    "How far each dimension of the aggregate posterior is from its prior, summed.",
    "lower",
)


# --- labels ---------------------------------------------------------------------------------------


def _probe(name: str, reader: str, label: str, blurb: str, head: str = "") -> None:
    def read(run: Run, found: Found) -> Estimate:
        probes = found["probes"]
        if probes is None:
            raise _lacking(run, label, found)
        share, pixels = probes["of"][0][reader], probes["of"][1]
        on = in_words(probes["asked"], found["split"], run.config().data.binarise)
        note = (
            f"Labels are learned from {probes['learned']} training images; always the commonest is "
            f"right for {probes['chance']:.3f}.\n"
            f"{label} of {pixels['features']}: {pixels[reader]['value']:.3f}."
        )
        basis = f"{images_of(run)} {probes['learned']} {probes['asked']}"
        return Estimate(share["value"], share["low"], share["high"], on, note, basis)

    _register(
        name, read, _has_labels, "quick", "codes",
        label=label, blurb=blurb, unit="", better="higher", head=head, of="Codes", order=40,
        seconds=_seconds_of_codes, paper="Alain and Bengio (2016)",
    )  # fmt: skip


def _has_labels(run: Run) -> None:
    card = run.data_card()
    if len(card.label_names) < 2:
        raise UserError(f"{card.dataset} has no labels that could be read from codes.")


_probe(
    "linear-probe",
    "linear",
    "Linear probe",
    "The share of held-out images whose label a linear classifier of codes tells.",
)
_probe(
    "k-nn",
    "neighbours",
    "k-NN accuracy",
    "The share of held-out images whose label the nearest codes have.",
    r"$k$-NN accuracy",
)


# --- factors --------------------------------------------------------------------------------------


def _score(name: str, label: str, blurb: str, paper: str, head: str = "") -> None:
    def read(run: Run, found: Found) -> Estimate:
        told = found["locatello"]
        value = told["scores"].get(name)
        if value is None:
            raise _lacking(run, label, found)
        on = f"{grouped(told['known'])} images to learn from, {grouped(told['unseen'])} to test on"
        note = (
            "The protocol of Locatello et al. (2019): images are drawn from all of the data set, "
            "codes are means; a single run has no interval."
        )
        return Estimate(value, None, None, on, note, f"{images_of(run)} {told['known']}")

    _register(
        name.replace("_", "-"), read, _has_factors, "locatello", "factors",
        label=label, blurb=blurb, unit="", better="higher", head=head, paper=paper,
        of="Known factors", order=50, seconds=_seconds_of_factors,
    )  # fmt: skip


def _has_factors(run: Run) -> None:
    card = run.data_card()
    if not card.factor_names:
        raise UserError(
            f"{card.dataset} has no known factors, by which the protocol of Locatello et al. would "
            "score codes; sprites and scenes have."
        )
    if card.n_train + card.n_validation + card.n_test < 3 * LEAST_IMAGES:
        raise UserError(
            f"Run {run.id!r} has too few images to be scored by the protocol of Locatello et al.: "
            f"it takes {3 * LEAST_IMAGES} and more."
        )


_score(
    "mig_means",
    "MIG, means",
    "Mutual information gap of means in 20 bins, as Locatello et al. count it.",
    "Locatello et al. (2019)",
)
_score(
    "mig_samples",
    "MIG, draws",
    "Mutual information gap of draws by their densities, as it was defined.",
    "Chen et al. (2018)",
)
_score(
    "sap",
    "SAP",
    "How much better the best dimension tells a factor than the second best.",
    "Kumar et al. (2018)",
)
_score(
    "dci_disentanglement",
    "DCI disentanglement",
    "Whether each dimension matters for one factor alone, by gradient-boosted trees.",
    "Eastwood and Williams (2018)",
)
_score(
    "dci_completeness",
    "DCI completeness",
    "Whether each factor is held by one dimension alone.",
    "Eastwood and Williams (2018)",
)
_score(
    "dci_informativeness",
    "DCI informativeness",
    "How well all dimensions together tell the factors.",
    "Eastwood and Williams (2018)",
)
_score(
    "factor_vae",
    "FactorVAE score",
    "Whether the dimension that varies least tells which factor was held.",
    "Kim and Mnih (2018)",
)
_score(
    "beta_vae",
    "β-VAE score",
    "Whether a linear classifier of differences of codes tells which factor was held.",
    "Higgins et al. (2017)",
)
_score(
    "modularity",
    "Modularity",
    "Whether each dimension tells of one factor at most.",
    "Ridgeway and Mozer (2018)",
)
