"""The model's weights with all that is needed to build it again."""

from __future__ import annotations

from safetensors.torch import save

from vae_core.export.source import Export, Source, formats


@formats.register(
    "safetensors",
    label="safetensors",
    blurb="The weights in one file that can execute nothing, with the configuration in its head.",
    order=50,
)
def safetensors(source: Source) -> Export:
    """Weights by their names in `vae_core`; metadata: run, step, config and data as JSON."""
    loaded = source.loaded
    tensors = {name: t.contiguous() for name, t in loaded.model.state_dict().items()}
    metadata = {
        "format": "pt",
        "run": loaded.run.id,
        "step": str(loaded.step),
        "config": loaded.config.model_dump_json(),
        "data": loaded.card.model_dump_json(),
    }
    note = f"{loaded.model.weight_count()} weights of step {loaded.step}."
    return Export({"model.safetensors": save(tensors, metadata)}, note)
