"""What can be taken home from a run, as files that other programs open.

A format is one file that registers itself here; `export` is the way in.
"""

from vae_core.export.source import Export, Source, export, formats
from vae_core.export.writing import as_download, write_export

formats.discover(__name__, plugins="vae_core.exports")

__all__ = ["Export", "Source", "as_download", "export", "formats", "write_export"]
