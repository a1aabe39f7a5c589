"""Commands that tell what there is: presets, families."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import typer

from vae_core.cli.options import JsonOption, print_rows

app = typer.Typer()


@app.command("presets")
def list_presets(as_json: JsonOption = False) -> None:
    """List the recipes, with the number of weights counted."""
    from vae_core.auto import usual
    from vae_core.families import complete, meta_model
    from vae_core.presets import presets

    rows: list[dict[str, Any]] = []
    for preset in presets:
        config = complete(preset.config)
        rows.append(
            {
                "name": preset.name,
                "weights": meta_model(usual(config), preset.image_shape).weight_count(),
                "family": config.family,
                "dataset": config.data.dataset,
                "image_shape": preset.image_shape,
                "label": preset.label,
                "blurb": preset.blurb,
                "config": config.model_dump(mode="json"),
            }
        )
    print_rows(rows, ("name", "weights", "family", "dataset", "blurb"), as_json)


@app.command("families")
def list_families(as_json: JsonOption = False) -> None:
    """List the families and their own settings."""
    from vae_core.families import families

    rows: list[dict[str, Any]] = [
        {
            "name": entry.name,
            "label": entry.label,
            "blurb": entry.blurb,
            "when": entry.when,
            "formula": entry.formula,
            "paper": entry.paper,
            "terms": {name: asdict(quantity) for name, quantity in entry.terms.items()},
            "options": entry.options.model_json_schema().get("properties", {}),
        }
        for entry in families
    ]
    print_rows(rows, ("name", "label", "paper", "blurb"), as_json)
