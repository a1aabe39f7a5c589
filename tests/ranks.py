"""One of two processes that train together, for tests/test_distributed.py: `FOLDER`, as rank says.

It writes what happened to it into the folder; the runs in there were made by the test.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from tests.engine import make_loop, tiny
from vae_core.families.beta_tcvae import decomposition
from vae_core.families.contractive import relative_jacobian
from vae_core.families.sparse import activation_kl, firing_share
from vae_core.losses.minibatch import stratified
from vae_core.models.batch_norm import normalise_over_all
from vae_core.runs import Run, Store
from vae_core.shares import batch_mean, shares_of, sharing
from vae_core.training.control import Message, send
from vae_core.training.distributed import Dismissed, Distributed, Lost, join
from vae_core.training.events import Event, Previewed, Stepped, ValueSet
from vae_core.training.worker import follow, work

SAVED_AT, STOPPED_AT = 3, 7
ASKED = {
    2: [Message("set", "beta", 0.5)],
    4: [Message("pause"), Message("save"), Message("resume")],
    5: [Message("set", "gamma", 1.0), Message("save")],
    STOPPED_AT: [Message("stop")],
}
"""What the first process hears before which step."""


def controlled(group: Distributed) -> list[list[object]]:
    """The events of a training whose first process alone hears messages; β as it is afterwards."""
    loop = make_loop(tiny(train={"log_every": 1}), group=group)
    # What a clock decides, that of the first decides: the other one would save at every step.
    loop.saves.due = lambda step, ends_epoch=False: step == SAVED_AT or not group.is_main  # type: ignore[method-assign]
    loop.saves.overdue = lambda: not group.is_main  # type: ignore[method-assign]
    asked = {step: [*messages] for step, messages in ASKED.items()}

    def hear() -> list[Message]:
        return asked.pop(loop.step, []) if group.is_main else [Message("stop")]

    seen = []
    for event in loop.run(hear):
        about = [event.value] if isinstance(event, ValueSet) else []
        about += [event.total] if isinstance(event, Stepped) else []
        if not isinstance(event, Previewed):
            seen.append([type(event).__name__, event.step, *about])
    return [*seen, ["overrides", loop.overrides]]


def trained(run: Run, group: Distributed, stop_at: int | None = None) -> None:
    """Train a run together, as far as it is wanted."""

    def stop(event: Event) -> None:
        if event.step == stop_at and isinstance(event, Stepped):
            send(run, {"command": "stop"})

    if group.is_main:
        work(run, lambda total, first: [stop], group=group)
    else:
        follow(group)


def normalised(rows: slice = slice(None)) -> dict[str, torch.Tensor]:
    """Of a batch of seven, some rows: what batch normalisation makes of them and their gradients;
    and the gradients of its weights, and its statistics afterwards, in which all have a share."""
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(3).double()
    nn.init.normal_(norm.weight), nn.init.normal_(norm.bias)
    whole, direction = torch.randn(2, 7, 3, 4, 4, dtype=torch.float64)
    if rows != slice(None):
        normalise_over_all([norm])
    x = (5 + whole[rows]).requires_grad_()
    out = norm(x)
    (out * direction[rows]).sum().backward()
    assert x.grad is not None
    grads = {f"{name}.grad": each.grad for name, each in norm.named_parameters()}
    return {"out": out.detach(), "x": x.grad, **norm.state_dict(), **grads}  # type: ignore[dict-item]


def compared(rows: slice = slice(None)) -> dict[str, torch.Tensor]:
    """Of a batch of seven codes, some rows: what terms that look at the whole batch come to, whose
    values add up, and the gradients of these rows."""
    torch.manual_seed(1)
    whole = torch.rand(7, 4, dtype=torch.float64)
    z = whole[rows].requires_grad_()
    shares = activation_kl(z, 0.1, firing_share)
    tilted = relative_jacobian(z.square().sum(1), z)
    parts = decomposition(z, 2 * z, -z, stratified(7, 50).double())
    terms = [shares, tilted, *parts]
    values = torch.stack([batch_mean(each) for each in terms])
    (values * torch.arange(1, 6)).sum().backward()
    assert z.grad is not None
    return {"sums": values.detach(), "z": z.grad}


def heard(what: Callable[[], object]) -> str:
    """The sentence of what is raised."""
    try:
        return f"nothing: {what()!r}"
    except (Dismissed, Lost) as error:
        return f"{type(error).__name__}: {error}"


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    group = join(cuda=False)
    found: dict[str, object] = {"control": controlled(group)}
    for name, stop_at in (("begun-together", STOPPED_AT), ("begun-alone", None)):
        trained(Store(folder).get(name), group, stop_at)
    (share,) = shares_of(7, group)
    with sharing(share):
        torch.save(normalised(share.places), folder / f"normalised-{group.rank}.pt")
        torch.save(compared(share.places), folder / f"compared-{group.rank}.pt")
    long = "x" * 5000
    found["told"] = group.broadcast([long] if group.is_main else None) == [long]
    found["gathered"] = group.gather({"rank": group.rank})
    compressed = torch.full((3,), 1.0 + 2**-12)
    group.reduce([compressed], torch.bfloat16)
    found["compressed"] = compressed.tolist()
    if group.is_main:
        group.dismiss("It is over.")
        found["lost"] = heard(lambda: group.reduce([torch.zeros(1)]))
    else:
        found["dismissed"] = heard(group.broadcast)
    (folder / f"{group.rank}.json").write_text(json.dumps(found))
    os._exit(0)  # as one that is killed: no farewell


if __name__ == "__main__":
    main(Path(sys.argv[1]))
