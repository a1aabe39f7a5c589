"""What a family is, the registry of them, and how a configuration becomes a model with one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from pydantic import BaseModel

from vae_core.config import ModelConfig, RunConfig
from vae_core.errors import UserError
from vae_core.models import LatentModel, backbones, likelihoods
from vae_core.objective import Objective, P
from vae_core.registry import Entry, Registry
from vae_core.runs import LEGACY_DEFAULTS, DataCard
from vae_core.settings import is_open

Shape = tuple[int, int, int]
Built = tuple[LatentModel[P], Objective[P]]
"""A model and an objective that works with its posterior."""

Build = Callable[[ModelConfig, DataCard, Any], Built[Any]]
Check = Callable[[RunConfig, DataCard, Any], None]

SMALLEST_SIDE = 8
NATS = "nats per image"


@dataclass(frozen=True)
class Quantity:
    """A logged term as charts name it.

    weight: the symbol of its weight in the formula, as LaTeX; "" where there is none.
    setting: the objective's setting that holds that weight; "" is the one named like the symbol.
    measured: the unit once the run is known, with {codes} and {n_validation} in it; "" for `unit`.
    """

    label: str
    unit: str = NATS
    weight: str = ""
    help: str = ""
    setting: str = ""
    measured: str = ""

    def in_run(self, config: RunConfig, data: DataCard) -> Quantity:
        """The same, with what it is measured on in its unit."""
        if not self.measured:
            return self
        facts = {"n_validation": data.n_validation}
        options = families[config.family].parse_options(config.objective, "objective")
        if hasattr(options, "code_count"):
            facts["codes"] = options.code_count(config.model.latent_dim)
        return replace(self, unit=self.measured.format(**facts))


RECON = Quantity("Reconstruction", help="−log p(x|z): how far rebuilt images are from real ones.")
KL = Quantity("KL", help="KL(q(z|x) ‖ p(z)): how much is remembered of each image.")
ELBO = {"recon": RECON, "kl": replace(KL, weight=r"\beta")}


def need_whole_batches(config: RunConfig, data: DataCard, options: Any) -> None:
    """The check of families that look at all images of a batch together."""
    if config.train.accumulate > 1:
        raise UserError(
            f"train.accumulate: {families[config.family].label} looks at all images of a batch, "
            "which are never there together where gradients are accumulated; leave it at 1."
        )


def may_accumulate(config: RunConfig, data: DataCard) -> bool:
    """Whether batches of such a run can be computed in parts."""
    family = families[config.family]
    try:
        options = family.parse_options(config.objective, "objective")
        family.check(config.updated({"train": {"accumulate": 2}}), data, options)
    except UserError:
        return False
    return True


def need_two_images(config: RunConfig, data: DataCard, options: Any) -> None:
    """The check of families that compare the images of a batch with each other."""
    need_whole_batches(config, data, options)
    if config.train.batch_size < 2:
        raise UserError(
            f"train.batch_size: {families[config.family].label} compares the images of a batch; "
            "use at least 2, better 32 and more."
        )


@dataclass(frozen=True, kw_only=True)
class Family(Entry[Build]):
    """A network × an objective, and what the app says of it.

    formula: what is minimised, as LaTeX; every weight in it is the `weight` of one of `terms`.
    when: one sentence about when to take it.
    terms: what it logs, by the name of the term.
    check: raises a `UserError` that names the setting, where data or settings do not fit.
    brought: its networks come from elsewhere, and nothing is trained with it: lists leave it out.
    before: what a run stands for that was configured before a setting of the objective existed.
    """

    formula: str
    when: str
    terms: Mapping[str, Quantity]
    check: Check = lambda config, data, options: None
    needs_labels: bool = False
    brought: bool = False
    before: Mapping[str, Any] = field(default_factory=dict)

    def weights_in(
        self, options: BaseModel, controls: Mapping[str, float] | None = None
    ) -> dict[str, float]:
        """The weights that the settings of an objective give to terms, by the name of the term;
        `controls` are those turned since, by the name of their setting."""
        found = {}
        for name, quantity in self.terms.items():
            if quantity.weight:
                field = quantity.setting or quantity.weight.removeprefix("\\")
                found[name] = float((controls or {}).get(field, getattr(options, field)))
        return found

    def formula_with(self, weights: Mapping[str, float], shown: Callable[[float], str]) -> str:
        """The formula with the present value of each weight below its symbol: `weights` by the name
        of the term, as they are logged, each written by `shown`."""
        formula = self.formula
        for name, quantity in self.terms.items():
            if quantity.weight and name in weights:
                symbol = re.escape(quantity.weight) + r"(?![A-Za-z])"
                valued = rf"\underset{{{shown(weights[name])}}}{{{quantity.weight}}}"
                formula = valued.join(re.split(symbol, formula))
        return formula


class Families(Registry[Family]):
    """The families by name; each builder takes `(model config, data card, options)`."""

    def add(self, entry: Family) -> None:
        super().add(entry)
        LEGACY_DEFAULTS[entry.name] = entry.before

    def __iter__(self) -> Iterator[Family]:
        """Those that something can be trained with."""
        return (entry for entry in super().__iter__() if not entry.brought)

    def __len__(self) -> int:
        return sum(1 for _ in self)


families = Families("family", Family)


def complete(config: RunConfig) -> RunConfig:
    """The configuration with every option of its family and backbone validated and spelt out, or a
    `UserError` naming the setting that is unknown or out of range."""
    family, backbone = families[config.family], backbones[config.model.backbone]
    if config.model.likelihood != "auto":
        likelihoods[config.model.likelihood]
    objective = family.parse_options(config.objective, "objective")
    options = backbone.parse_options(config.model.options, "model.options")
    return config.updated(
        {
            "objective": objective.model_dump(mode="json"),
            "model": {"options": options.model_dump(mode="json")},
        }
    )


def meta_model(config: RunConfig, data: DataCard | Shape) -> LatentModel:
    """The model of `build_on_meta`: for its sizes."""
    return build_on_meta(config, data)[0]


def build_on_meta(config: RunConfig, data: DataCard | Shape) -> Built[Any]:
    """`build` without memory for the weights; also refuses more weights than torch counts."""
    try:
        with torch.device("meta"):
            return build(config, data)
    except (RuntimeError, TypeError, OverflowError) as error:
        if "overflow" not in str(error).lower():
            raise
        raise UserError(
            "The model is too large to be built: it has more weights than can be counted. Use "
            "fewer channels, hidden units or latent dimensions."
        ) from None


def build(config: RunConfig, data: DataCard | Shape) -> Built[Any]:
    """The model and the objective for a data set, of which a shape (C, H, W) alone means unlabelled
    images; weights from torch's RNG.

    Raises:
        UserError: when the settings are invalid or the data do not fit; it names the setting.
        TypeError: when the family's objective cannot work with the posterior of its model.
    """
    if not isinstance(data, DataCard):
        data = DataCard(dataset=config.data.dataset, image_shape=data, n_train=0, n_validation=0)
    height, width = data.image_shape[1:]
    if min(height, width) < SMALLEST_SIDE:
        raise UserError(
            f"The images are {height}×{width}; "
            f"they must be at least {SMALLEST_SIDE}×{SMALLEST_SIDE}. Set data.image_size."
        )
    if is_open(config.model.latent_dim):
        raise UserError(
            "model.latent_dim is left to the data, and decided when a run begins; give a number."
        )
    family = families[config.family]
    options = family.parse_options(config.objective, "objective")
    if family.needs_labels and not data.label_names:
        raise UserError(
            f"family: {family.label} needs labels and {data.dataset!r} has none; "
            "choose another family, or images in folders named by label."
        )
    family.check(config, data, options)
    model, objective = family.build(config.model, data, options)
    model.shown_channels = config.data.shown_channels
    if not issubclass(model.posterior, objective.needs):
        raise TypeError(
            f"The objective of family {family.name!r} needs a {objective.needs.__name__}, and the "
            f"encoder of its model returns a {model.posterior.__name__}."
        )
    return model, objective
