"""The command for what is kept to save time: prepared images, derived files and uploads."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from vae_core.cli.options import JsonOption, StoreOption, print_json, print_table

app = typer.Typer()


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
