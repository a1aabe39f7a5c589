"""A run that is resumed: on its own images, or, if that is wanted, on those that are there now."""

from __future__ import annotations

from vae_core.data import Dataset
from vae_core.data.difference import Difference
from vae_core.errors import DataChanged
from vae_core.families import families
from vae_core.progress import Progress, no_progress
from vae_core.run_data import dataset_of, refuse_unknown_labels
from vae_core.runs import Run, layout


def images_of(run: Run, accept_changed: bool, progress: Progress = no_progress) -> Dataset:
    """The images that a run goes on with: those that it recorded, in their parts and their order.

    Args:
        accept_changed: where they are not as they were, go on with those that are still there
            and with new ones, each in its part: what was measured on is never learned from.

    Raises:
        DataChanged: when they are not as they were and that is not accepted, or the run cannot
            tell what it learned from.
        UserError: when they are not present, or have labels that the model cannot be told.
    """
    dataset = dataset_of(run, progress=progress, grow=accept_changed)
    difference = dataset.difference
    if difference is None:
        return dataset
    parts = (dataset.train, dataset.validation)
    if not difference.recorded or difference.elsewhere:
        way_out = "train it again."
    elif not all(map(len, parts)):
        way_out = "put them back."
    elif not accept_changed:
        raise DataChanged(
            f"{difference.sentence} Put them back to resume run {run.id!r} exactly, or accept "
            "the images as they are now.",
            acceptable=True,
        )
    else:
        for images in parts if families[run.config().family].needs_labels else ():
            refuse_unknown_labels(run, dataset, images)
        return dataset
    raise DataChanged(f"{difference.sentence} So run {run.id!r} cannot be resumed; {way_out}")


def note_change(run: Run, difference: Difference, step: int) -> None:
    """Say in the history of a run that it goes on with other images from `step` on.

    The pictures of its hold-out images go: from now on others are rebuilt, and they would stand
    below the wrong originals.
    """
    records = run.each_record(layout.HISTORY)
    message = f"Resumed on the images that were there. {difference.sentence}"
    note = {"kind": "note", "step": step, "message": message}
    kept = (record for record in records if record.get("kind") != "preview")
    run.write_records(layout.HISTORY, (*kept, note))
    for picture in run.file(layout.PREVIEWS).glob("*.png"):
        picture.unlink(missing_ok=True)
