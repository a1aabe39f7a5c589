"""What a place has to offer where runs are trained, and the places there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Protocol

from pydantic import Field, ValidationError

from vae_core.config import RunConfig
from vae_core.errors import UserError
from vae_core.registry import Entry, Registry
from vae_core.runs import Folder, Run, Store
from vae_core.settings import Settings, explain

HERE = "here"
"""The address of this machine."""


class Share(Settings):
    """What one run takes of the machine that trains it.

    cpus: cores, which are the threads of the run too; None leaves that to the place.
    gpus: graphics cards; 0.5 shares one between two runs.
    """

    cpus: Annotated[float, Field(gt=0, le=4096)] | None = None
    gpus: Annotated[float, Field(ge=0, le=1024)] = 0.0


def parsed_share(cpus: float | None, gpus: float) -> Share:
    """A share as somebody asked for it. A UserError that names what cannot be."""
    try:
        return Share(cpus=cpus, gpus=gpus)
    except ValidationError as error:
        raise UserError(explain(error, "", Share)) from None


class Unreachable(UserError):
    """The place does not answer for now; what was asked of it can be asked again later."""


class Executor(Protocol):
    """Trains runs of a store, wherever that is.

    A run is known by its folder in the store, wherever it is trained: status, history, log,
    previews and weights come to lie there while it goes on, and its control file is obeyed. So
    whoever looks at a run or tells it something goes to its folder, not to the executor. That may
    be closed or killed while runs go on; another one for the same address finds them there.
    `submit` and `resume` raise `Unreachable` where that may be over in a while. A run that has an
    `owner` saves itself and stops once nobody works on that folder any more: somebody elsewhere
    then does it anew. Others go on whatever becomes of whoever started them.
    """

    def capacity(self) -> int | None:
        """For how many runs there is room, those at work among them; 0 while the place does not
        answer, None where nobody counts."""

    def threads(self, together: int) -> int | None:
        """How many threads a run is to have, where so many are trained together; None where it
        has the machine for itself."""

    def submit(
        self, store: Store, name: str, config: RunConfig, owner: Folder | None = None
    ) -> Run:
        """Create a run and have it trained; returns at once, though the run may have to wait for
        its turn. A UserError when the configuration is invalid, the name is taken or nothing can
        be started, and then nothing is left of the run."""

    def resume(self, run: Run, owner: Folder | None = None) -> None:
        """Go on with a run that was stopped, interrupted or failed, from its last save; wake a
        paused one. A UserError when it is finished or cannot be started."""

    def close(self) -> None:
        """Let go of what this process holds of the place; runs go on."""


Open = Callable[[str, Share], Executor]
"""Makes the executor for an address. A UserError when there is none at it."""

executors: Registry[Entry[Open]] = Registry("place to train in", Entry)
"""By the scheme of their addresses."""


def check_place(address: str) -> str:
    """The address as it is, once there are places of its kind; nothing is opened. A UserError that
    lists the kinds where there is none such."""
    _entry(address)
    return address


def open_executor(address: str = HERE, share: Share | None = None) -> Executor:
    """The executor at an address, such as `here` or `ray://host:10001`. A UserError when there is
    no such place, or it cannot be reached."""
    return _entry(address).build(address, share or Share())


def _entry(address: str) -> Entry[Open]:
    return executors[address.partition("://")[0]]
