"""What can be taken home from a run, as files that other programs open.

A format is one file that registers itself here; `export` is the way in.
"""

from importlib import import_module

from vae_core.export.source import Export, Source, export, formats
from vae_core.export.writing import as_download, write_export

FORMATS = (
    "csv_table",
    "parquet_table",
    "npz_arrays",
    "projector",
    "weights",
    "onnx_graphs",
    "python_module",
)
"""The files that register formats, in the order in which a page lists them."""

for _format in FORMATS:
    import_module(f"{__name__}.{_format}")

__all__ = ["Export", "Source", "as_download", "export", "formats", "write_export"]
