"""What cards, picker and tables show of each run, read once for each version of its files."""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from latent_workbench.shared.errors import redact
from latent_workbench.shared.formatting import image_count
from vae_core.config import RunConfig
from vae_core.errors import UserError
from vae_core.imaging.png import require_png
from vae_core.in_force import beta_in_force
from vae_core.runs import ACTIVE, BEST, WEIGHTS, MeasuredOn, Run, Store, layout, measured_on
from vae_core.runs.layout import largest

DAMAGED = "damaged"
THUMBNAIL = layout.THUMBNAIL
RESUMABLE = frozenset({"interrupted", "stopped", "failed"})
_READ = (
    layout.CONFIG,
    layout.BROUGHT,
    layout.DATA_CARD,
    layout.ENVIRONMENT,
    layout.STATUS,
    layout.JOB,
    layout.SUMMARY,
    layout.ENCODINGS,
    layout.THUMBNAILS,
    THUMBNAIL,
    BEST,
    WEIGHTS,
)
_MEASURES = ("recon", "kl", "elbo", "active_units", "bits_per_dim", "is_density", "mse")

MOST_KEPT = 16_384
"""Runs, 4 kB of each: a store of more is read anew for every page."""

LARGEST_THUMBNAIL = 2**22
"""Pixels of the picture on a card, which has some 168 × 168."""


@dataclass(frozen=True)
class RunFacts:
    """A run at a glance. None stands for what is not known (yet); values in nats per image."""

    id: str
    path: Path
    made: float
    state: str
    problem: str = ""
    """Why the run is damaged or failed, "" where it is not."""
    note: str = ""
    """What a later version wrote into its settings, "" where there is nothing."""
    thumbnail: bytes | None = None
    """The tile of prior samples as PNG, where there is one."""
    brought: str = ""
    """Of a network that was not trained here: by which door it came, and what it was called."""
    family: str = ""
    dataset: str = ""
    beta: float | None = None
    recon: float | None = None
    kl: float | None = None
    elbo: float | None = None
    active_units: int | None = None
    latent_size: int | None = None
    """Latent dimensions of the flattened code: what active units are a part of."""
    bits_per_dim: float | None = None
    is_density: bool = True
    mse: float | None = None
    incomparable: str = ""
    """Why its ELBO says little, "" where it compares; the squared error does."""
    n_train: int | None = None
    measured: MeasuredOn | None = None
    """What recon, kl, elbo and active units were measured on."""
    likelihood: str = ""
    image_shape: tuple[int, int, int] | None = None
    has_weights: bool = False
    best_step: int | None = None
    """Of the best validation, where the run keeps its weights beside the last."""
    can_resume: bool = False
    host: str = ""
    """Where it trains, "" where that is here or nobody trains it."""

    @property
    def run(self) -> Run:
        return Run(self.path)

    @property
    def measured_on(self) -> str:
        """ "3 000 validation images", "" where nothing was measured."""
        measured = self.measured
        return "" if measured is None else image_count(measured.images, measured.split)

    @property
    def usable(self) -> bool:
        """True where there is a model to look at."""
        return self.has_weights and self.state != DAMAGED


def catalog(store: Store | None = None) -> list[RunFacts]:
    """Every run of the store, the newest first; a damaged run is one of them, not an error."""
    return [facts_of(run) for run in store or Store()]


def companions(run: Run, *, same_size: bool = True) -> list[RunFacts]:
    """The other usable runs on the data of `run`; at its image size, unless that may differ."""
    usable = {each.id: each for each in catalog() if each.usable}
    mine = usable.pop(run.id, None)
    return [
        each
        for each in usable.values()
        if mine is not None
        and each.dataset == mine.dataset
        and (not same_size or each.image_shape == mine.image_shape)
    ]


def facts_of(run: Run) -> RunFacts:
    """What is known of one run."""
    history = layout.HISTORY  # grows all the time; that it is one, and not too long, counts
    sound = not run.has(history) or 0 <= run.size(history) <= largest(history)
    facts = _read(run.path, (*map(run.version, _READ), sound and run.version(history) is not None))
    if facts.state not in ACTIVE:
        return facts
    if run.is_alive():  # asked each time: no file of the run changes when its worker dies
        return replace(facts, host=run.remote_host())
    return replace(facts, state="interrupted", can_resume=run.has_state())


def age(made: float, now: float | None = None) -> str:
    """How long ago, in one unit: "3 min ago"."""
    now = datetime.now(UTC).timestamp() if now is None else now
    for size, unit in ((86_400, "days"), (3600, "h"), (60, "min")):
        if count := int(max(0.0, now - made) // size):
            return f"{count} {'day' if unit == 'days' and count == 1 else unit} ago"
    return "just now"


def _beta(run: Run, config: RunConfig, summary: dict[str, Any], has_weights: bool) -> float | None:
    """β of the measured weights, else of the saved ones, else as it is planned."""
    planned: float | None = config.objective.get("beta")
    try:
        return beta_in_force(run, summary.get("step")) if has_weights else planned
    except UserError:  # its family is not installed here; the run can still be looked through
        return None


def _incomparable(config: RunConfig, summary: dict[str, Any]) -> str:
    """As it was measured; asked of the likelihood where an early version measured."""
    if "incomparable" in summary or config.model.likelihood == "auto":
        return str(summary.get("incomparable", ""))
    from vae_core.models.likelihoods import likelihoods  # torch, which new runs do without

    try:
        return str(likelihoods[config.model.likelihood].build(config.model).incomparable)
    except UserError:
        return ""


@functools.lru_cache(maxsize=MOST_KEPT)
def _read(path: Path, versions: tuple[int | None, ...]) -> RunFacts:
    run = Run(path)
    made = (versions[0] or _time_of(path)) / 1e9
    try:
        run.check()
        stored, status, picture = run.stored_config(), run.last_status(), _thumbnail(run)
        brought = run.brought()
        config = stored.config
        status = status if status.state in ACTIVE else run.status()
        card = run.data_card() if versions[_READ.index(layout.DATA_CARD)] else None
        summary, measured = run.summary(), measured_on(run) if card else None
        # When it was trained: the file's own time is that of a copy in a clone or an unpacked zip.
        started = run.environment().started
        made = datetime.fromisoformat(started).timestamp() if started else made
        has_weights = versions[_READ.index(WEIGHTS)] is not None
        if card is None and has_weights:
            raise UserError(
                f"Run {run.id!r} has weights but no {layout.DATA_CARD} to rebuild them with."
            )
    except (UserError, ValueError) as error:
        return RunFacts(run.id, path, made, DAMAGED, redact(error))
    return RunFacts(
        run.id,
        path,
        made,
        status.state,
        redact(status.message) if status.state == "failed" else "",
        note=" ".join(filter(None, (run.notes(stored), *(brought.notes if brought else ())))),
        thumbnail=picture,
        brought=f"{brought.kind}: {brought.source}" if brought else "",
        family=config.family,
        dataset=config.data.dataset,
        beta=_beta(run, config, summary, has_weights),
        **{name: summary[name] for name in _MEASURES if name in summary},
        latent_size=summary.get("latent_dim"),
        incomparable=_incomparable(config, summary),
        n_train=card.n_train if card else None,
        measured=measured,
        likelihood=config.model.likelihood,
        image_shape=card.image_shape if card else None,
        has_weights=has_weights,
        best_step=run.weights_step(BEST),
        can_resume=status.state in RESUMABLE and run.has_state(),
    )


def _thumbnail(run: Run) -> bytes | None:
    """The picture of a card; None where there is none yet. Raises UserError where there is
    something else in its place."""
    from PIL import Image

    try:
        png = run.read(THUMBNAIL)
        require_png(png, LARGEST_THUMBNAIL)
        with Image.open(io.BytesIO(png), formats=("PNG",)) as image:
            image.load()
    except FileNotFoundError:
        return None
    except (OSError, ValueError, SyntaxError) as error:  # as Pillow says it, too
        raise UserError(f"{THUMBNAIL} of run {run.id!r} is damaged: {redact(error)}.") from None
    return png


def _time_of(path: Path) -> int:
    try:
        return path.lstat().st_mtime_ns
    except OSError:  # deleted meanwhile
        return 0
