"""The README of a model's repository, made of what the run has recorded and of nothing else.

Its head is what the hub reads: https://huggingface.co/docs/hub/model-cards#model-card-metadata.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from vae_core.data import datasets
from vae_core.families import families
from vae_core.hub import LIBRARY
from vae_core.in_force import beta_in_force
from vae_core.loading import LoadedRun
from vae_core.models import backbones, likelihoods
from vae_core.names import readable
from vae_core.runs import WEIGHTS, Run, layout, measured_on
from vae_core.runs.schemas import Brought

TASK = {"type": "unconditional-image-generation", "name": "Unconditional image generation"}

MEASURES = {
    "elbo": ("ELBO", "nats per image"),
    "recon": ("Reconstruction, −log p(x|z)", "nats per image"),
    "kl": ("KL(q(z|x) ‖ p(z))", "nats per image"),
    "bits_per_dim": ("Bits per dimension", "bits"),
    "mse": ("Mean squared error", "of pixels in [0, 1]"),
    "active_units": ("Active latent dimensions", ""),
    "codes_in_use": ("Codes in use", ""),
}
"""Of a run's summary: what each is called, and its unit."""

TRAINING = frozenset(
    {"Steps", "Batch size", "Learning rate", "Precision", "Seed", "Device", "PyTorch", "β"}
)

CARD = """---
{head}---

# {name}

{what} {came}

{pictures}
## Measured

{measured}

## What it is

{settings}

## How to use it

With the latent workbench, where it becomes a run that can be explored:

```sh
python -m vae_core pull USER/REPOSITORY
```

```python
from vae_core import Store, load_run

model = load_run(Store().get("{name}")).model
posterior = model.encode(x)  # x: floats in [0, 1], [B, {shape}]
x_hat = model.picture(model.decode(posterior.mode()))
```

With torch and safetensors alone, from a copy of this repository; `plain/model.py` is the network
written out operation by operation, and `plain/weights.safetensors` its weights:

```python
from model import decode, encode  # in the folder plain
```

## Files

`{weights}` holds the weights, `{config}` and `{card}` all that is needed to build the network
again. {held}
{references}"""


def model_card(
    loaded: LoadedRun,
    summary: Mapping[str, Any],
    pictures: Mapping[str, str],
    held: str,
    license: str = "",
) -> str:
    """The text of README.md.

    Args:
        summary: what was measured of these weights, {} where nothing was.
        pictures: captions, by the names of files beside it.
        held: a sentence on what the files beside it show of the images.
        license: what the person puts it under; a card without is silent on it.
    """  # fmt: skip
    run, config, card = loaded.run, loaded.config, loaded.card
    family = families[config.family]
    return CARD.format(
        head=yaml.safe_dump(_head(loaded, summary, license), sort_keys=False, allow_unicode=True),
        name=run.id,
        what=family.blurb,
        came=_came(loaded),
        pictures="".join(f"![{said}]({file})\n\n{said}\n\n" for file, said in pictures.items()),
        measured=_measured(run, summary),
        settings=_table(_settings(loaded)),
        shape=", ".join(map(str, card.image_shape)),
        held=held,
        weights=WEIGHTS,
        config=layout.CONFIG,
        card=layout.DATA_CARD,
        references=f"\n## Paper\n\n{family.paper}\n" if family.paper else "",
    ).rstrip() + "\n"  # fmt: skip


def _came(loaded: LoadedRun) -> str:
    """Where the weights are from."""
    run, family = loaded.run, families[loaded.config.family]
    called = f"{family.label} (family `{family.name}`)"
    if run.has(layout.BROUGHT):
        brought = run.parse(layout.BROUGHT, Brought)
        return f"It was not trained here: it came as {_cell(brought.kind)}, and is {called}."
    images = f"{loaded.card.n_train} images of {_data_name(loaded)}"
    return f"It was trained with {called} on {images}, by the latent workbench."


def _head(loaded: LoadedRun, summary: Mapping[str, Any], license: str) -> dict[str, Any]:
    config, own = loaded.config, _is_own(loaded)
    head: dict[str, Any] = {"license": license} if license else {}
    head |= {"library_name": LIBRARY, "pipeline_tag": TASK["type"]}
    head |= {} if own else {"datasets": [config.data.dataset]}
    tags = ("vae", "variational-autoencoder", "latent-space", config.family)
    head["tags"] = list(dict.fromkeys(tags))
    metrics = [
        {"type": name, "name": f"{MEASURES[name][0]} ({MEASURES[name][1]})".removesuffix(" ()"),
         "value": value}
        for name, value in _measures(summary)
    ]  # fmt: skip
    if metrics:
        data = {"type": config.data.dataset, "name": _data_name(loaded)}
        data |= {"split": str(summary.get("split", "validation"))}
        results = [{"task": TASK, "dataset": data, "metrics": metrics}]
        head["model-index"] = [{"name": loaded.run.id, "results": results}]
    return head


def _measures(summary: Mapping[str, Any]) -> list[tuple[str, float]]:
    return [(name, summary[name]) for name in MEASURES if summary.get(name) is not None]


def _measured(run: Run, summary: Mapping[str, Any]) -> str:
    rows = [
        (MEASURES[name][0], f"{value:.6g} {MEASURES[name][1]}".strip())
        for name, value in _measures(summary)
    ]
    if not rows:
        return "Nothing was measured of these weights."
    return f"On {measured_on(run)}, which it has not learned from:\n\n{_table(rows)}"


def _settings(loaded: LoadedRun) -> list[tuple[str, str]]:
    config, card = loaded.config, loaded.card
    channels, height, width = card.image_shape
    environment, beta = loaded.run.environment(), beta_in_force(loaded.run)
    likelihood = next(e.label for e in likelihoods if e.build is type(loaded.model.likelihood))
    rows: dict[str, Any] = {
        "Images": f"{height} × {width} pixels, {channels} channel{'s' * (channels > 1)}",
        "Network": backbones[config.model.backbone].label,
        "Weights": f"{loaded.model.weight_count():,}".replace(",", " "),
        "Latent dimensions": loaded.model.latent_size,
        "Likelihood": likelihood,
        "β": None if beta is None else f"{beta:g}",
        "Steps": loaded.step,
        "Batch size": config.train.batch_size,
        "Learning rate": f"{config.train.learning_rate:g}",
        "Precision": config.train.precision,
        "Seed": config.train.seed,
        "Device": environment.device,
        "PyTorch": environment.packages.get("torch"),
    }
    if loaded.run.has(layout.BROUGHT):  # nothing was trained: these were nobody's choice
        rows = {name: value for name, value in rows.items() if name not in TRAINING}
    return [(name, str(value)) for name, value in rows.items() if value not in (None, "")]


def _table(rows: list[tuple[str, str]]) -> str:
    return "\n".join(["| | |", "| --- | --- |", *(f"| {_cell(k)} | {_cell(v)} |" for k, v in rows)])


def _cell(text: str) -> str:
    return readable(text).replace("|", "\\|").replace("\n", " ")


def _is_own(loaded: LoadedRun) -> bool:
    name = loaded.config.data.dataset
    return name not in datasets or datasets[name].origin == "own"


def _data_name(loaded: LoadedRun) -> str:
    """What the images are called; nobody's folders are named."""
    name = loaded.config.data.dataset
    return "a collection of one's own" if _is_own(loaded) else datasets[name].label
