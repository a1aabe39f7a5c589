"""Encodings as a table: one image a row."""

from __future__ import annotations

from typing import Any

from vae_core.latent.survey import Survey


def table(survey: Survey) -> Any:
    """A pyarrow table of what is known of every image.

    Columns: split, index (place in the split), file, label, recon, kl, elbo (in nats), as far as
    they are known, kl_error where kl is estimated from draws, then z0, z1, …: the posterior mean.
    """
    import pyarrow as pa

    columns: dict[str, Any] = {"split": [survey.split] * len(survey), "index": survey.indices}
    if survey.files:
        columns["file"] = [readable(name) for name in survey.files]
    if survey.labels is not None:
        columns["label"] = [readable(survey.label_name(int(i))) for i in survey.labels]
    measured = {"recon": survey.recon, "kl": survey.kl, "elbo": survey.elbo}
    measured["kl_error"] = survey.kl_error
    columns |= {name: values for name, values in measured.items() if values is not None}
    columns |= {f"z{i}": survey.mu[:, i] for i in range(survey.mu.shape[1])}
    return pa.table(columns)


def readable(name: str) -> str:
    """A file name as text that can be written: bytes that are no UTF-8 become �."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
