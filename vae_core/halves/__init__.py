"""What runs the halves of a network that is kept as it came: one file here a kind.

Kinds that execute what somebody wrote are opened only where their content is trusted
(`vae_core/trust.py`); the others are read by a runtime that knows operations and no programs.
"""

from vae_core.halves.kind import (
    DECODER,
    ENCODER,
    Given,
    HalvesKind,
    connect,
    halves_of,
    kinds,
    read_given,
    trust_run,
    tuple_of,
)

kinds.discover(__name__, plugins="vae_core.halves")

__all__ = [
    "DECODER",
    "ENCODER",
    "Given",
    "HalvesKind",
    "connect",
    "halves_of",
    "kinds",
    "read_given",
    "trust_run",
    "tuple_of",
]
