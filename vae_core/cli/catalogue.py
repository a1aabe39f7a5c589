"""Commands that tell what there is: presets, families, and what is kept to save time."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Annotated, Any

import typer

from vae_core.cli.options import JsonOption, StoreOption, print_json, print_rows, print_table

app = typer.Typer()

FACTS = ("name", "label", "blurb", "when", "formula", "paper")
"""Of a family, as they are."""


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
            **{fact: getattr(entry, fact) for fact in FACTS},
            "terms": {name: asdict(quantity) for name, quantity in entry.terms.items()},
            "options": entry.options.model_json_schema().get("properties", {}),
        }
        for entry in families
    ]
    print_rows(rows, ("name", "label", "paper", "blurb"), as_json)


@app.command("cache")
def cache(
    clear: Annotated[
        bool, typer.Option("--clear", help="Remove all that nothing uses and no run still needs.")
    ] = False,
    as_json: JsonOption = False,
    store: StoreOption = None,
) -> None:
    """List prepared images, what was derived from runs, and uploads: how large they are and how
    large they may become."""
    from vae_core.data.cache import entries, size_limit
    from vae_core.runs import Store
    from vae_core.units import gigabytes
    from vae_core.upkeep import clear_disk

    runs = Store(store)
    removed = clear_disk(runs) if clear else []
    kept = entries()
    total, freed = (sum(entry.size for entry in each) for each in (kept, removed))
    if as_json:
        rows: list[dict[str, Any]] = [
            {
                "path": str(entry.path),
                "kind": entry.kind,
                "bytes": entry.size,
                "used": entry.used,
                "in_use": entry.in_use,
            }
            for entry in kept
        ]
        print_json(
            {"entries": rows, "bytes": total, "bound_bytes": size_limit(), "removed_bytes": freed}
        )
        return
    if clear:
        print(f"Removed {len(removed)}, {gigabytes(freed)}.")
    table: list[tuple[str, ...]] = [("what", "size", "last used", "in use", "path")]
    for entry in kept:
        used = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.used))
        in_use = "yes" if entry.in_use else ""
        table.append((entry.kind, gigabytes(entry.size), used, in_use, str(entry.path)))
    if kept:
        print_table(table)
    print(
        f"{gigabytes(total)} of at most {gigabytes(size_limit())} (VAE_CACHE_GB); what was not "
        "used for longest goes first."
    )
