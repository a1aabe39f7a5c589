"""What a collection holds: copies, doubtful labels, groups, and what is rare in it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from vae_core.analysis import CACHED, images_of_survey, survey_of
from vae_core.data import ArrayImages, Images, Progress, no_progress
from vae_core.errors import UserError
from vae_core.latent.clusters import Clusters, find_clusters, smallest_cluster
from vae_core.latent.copies import Copies, find_copies
from vae_core.latent.coverage import Coverage, coverage
from vae_core.latent.encodings import MOST_LABELS, load_encodings
from vae_core.latent.label_errors import LabelErrors, label_errors
from vae_core.latent.neighbours import Neighbours, nearest_neighbours
from vae_core.latent.survey import Survey
from vae_core.runs import Run, Tensors, derived, layout

NEIGHBOURS, EVIDENCE = 10, 5
"""Neighbours that are looked at of each image, and those that are named where they disagree."""

VERSION = 1
"""Of how copies are found: what an earlier one found is found anew."""


@dataclass(frozen=True)
class Curation:
    """One look at the N images of a part.

    errors: None without labels. clusters: groups of at least `smallest` images; None where there
    are too few images.
    """

    survey: Survey
    neighbours: Neighbours
    copies: Copies
    errors: LabelErrors | None
    clusters: Clusters | None
    smallest: int

    @property
    def rarity(self) -> np.ndarray:
        """float32 [N], the distance of each image to its tenth nearest: coverage is thin where it
        is large."""
        distances: np.ndarray = self.neighbours.distances
        return distances[:, -1] if distances.shape[1] else np.zeros(len(self.survey), np.float32)

    @cached_property
    def coverage(self) -> Coverage:
        """What is rare among the images."""
        return coverage(self.survey, self.rarity, self.clusters)


def curate(
    run: Run,
    split: str = "train",
    data_dir: str | None = None,
    smallest: int | None = None,
    progress: Progress = no_progress,
) -> Curation:
    """Look through a part of a run's images, or take what was found before.

    Args:
        split: train, validation, test or "cached", whose pictures are the run's thumbnails.
        smallest: images that a group has at least; None: half a percent of all. Of another size
            the groups alone are found anew.

    Raises:
        UserError: as `survey_of`.
    """
    found = survey_of(run, split, data_dir, progress)
    smallest = smallest or smallest_cluster(len(found))
    kept = _find(run, found)
    if kept is not None and kept.smallest == smallest:
        return kept
    if kept is None:
        neighbours = nearest_neighbours(found.mu, NEIGHBOURS, progress)
        images = _images_of(run, found, data_dir, progress)
        copies = find_copies(found, neighbours, images, progress=progress)
        errors = None if found.labels is None else label_errors(neighbours, found.labels)
        kept = Curation(found, neighbours, copies, errors, None, smallest)
    try:
        clusters = find_clusters(found.mu, smallest, progress)
    except UserError:  # too few images to form groups
        clusters = None
    made = replace(kept, clusters=clusters, smallest=smallest)
    save_curation(run, made)
    return made


def _images_of(run: Run, found: Survey, data_dir: str | None, progress: Progress) -> Images:
    if found.split == CACHED:
        return ArrayImages(load_encodings(run).thumbnails)
    return images_of_survey(run, found, data_dir, progress)


def table(made: Curation) -> dict[str, list[object]]:
    """A row each image: `file, label, suggested_label, label_margin, group, group_strength,
    copy_of, difference, rarity`; empty where there is nothing to say."""
    survey = made.survey
    n = len(survey)
    names = [survey.name(row) for row in range(n)]
    columns: dict[str, list[object]] = {"file": list(names)}
    if survey.labels is not None and made.errors is not None:
        columns["label"] = [survey.label_name(int(label)) for label in survey.labels]
        suggested = [survey.label_name(int(label)) for label in made.errors.suggested]
        columns["suggested_label"] = _placed(n, made.errors.rows, suggested)
        columns["label_margin"] = _placed(n, made.errors.rows, made.errors.margin.tolist())
    if made.clusters is not None:
        number = made.clusters.number
        columns["group"] = ["" if each < 0 else int(each) + 1 for each in number]
        columns["group_strength"] = made.clusters.strength.tolist()
    columns["copy_of"], columns["difference"] = [""] * n, [""] * n
    for group, (kept, others) in enumerate(zip(made.copies.kept, made.copies.others, strict=True)):
        for place, row in enumerate(others.tolist()):
            columns["copy_of"][row] = names[kept]
            if made.copies.differences is not None:
                columns["difference"][row] = float(made.copies.differences[group][place])
    columns["rarity"] = made.rarity.tolist()
    return columns


def _placed(n: int, rows: np.ndarray, values: list[object] | list[str]) -> list[object]:
    found: list[object] = [""] * n
    for row, value in zip(rows.tolist(), values, strict=True):
        found[row] = value
    return found


def keep_list(made: Curation) -> Iterator[str]:
    """Names of the images that are left when of each group of copies one is kept."""
    superfluous = set(made.copies.superfluous.tolist())
    return (made.survey.name(row) for row in range(len(made.survey)) if row not in superfluous)


def copies_table(made: Curation) -> dict[str, list[object]]:
    """A row each image that has near-duplicates, those of a group one below the other: `group,
    file, keep, difference` in grey levels of 255 from the one to keep, empty where unknown."""
    columns: dict[str, list[object]] = {
        name: [] for name in ("group", "file", "keep", "difference")
    }
    differences = made.copies.differences
    for group, (kept, others) in enumerate(zip(made.copies.kept, made.copies.others, strict=True)):
        rows = [kept, *others.tolist()]
        apart = [""] * len(others) if differences is None else differences[group].tolist()
        columns["group"] += [group + 1] * len(rows)
        columns["file"] += [made.survey.name(row) for row in rows]
        columns["keep"] += ["yes", *["no"] * len(others)]
        columns["difference"] += [0.0, *apart]
    return columns


def doubts_table(made: Curation) -> dict[str, list[object]]:
    """A row each image whose label its neighbours contradict, the clearest first: `file, label,
    suggested_label, label_margin, nearest` (the names of its neighbours, with | between)."""
    survey, errors = made.survey, made.errors
    names = ("file", "label", "suggested_label", "label_margin", "nearest")
    if errors is None or survey.labels is None:
        return {name: [] for name in names}
    nearest = made.neighbours.places[errors.rows][:, :EVIDENCE]
    columns: tuple[list[object], ...] = (
        [survey.name(int(row)) for row in errors.rows],
        [survey.label_name(int(survey.labels[row])) for row in errors.rows],
        [survey.label_name(int(label)) for label in errors.suggested],
        errors.margin.tolist(),
        [" | ".join(survey.name(int(row)) for row in rows) for rows in nearest],
    )
    return dict(zip(names, columns, strict=True))


def save_curation(run: Run, made: Curation) -> None:
    """Keep what was found, where it can be kept."""
    copies, errors, clusters = made.copies, made.errors, made.clusters
    arrays = {
        "places": made.neighbours.places,
        "distances": made.neighbours.distances,
        "kept": np.array(copies.kept, np.int64),
        "others": np.concatenate([np.empty(0, np.int64), *copies.others]),
        "counts": np.array([len(each) for each in copies.others], np.int64),
        "usual": np.array([copies.usual], np.float32),
    }
    if copies.differences is not None:
        none = np.empty(0, np.float32)
        arrays["differences"] = np.concatenate([none, *copies.differences]).astype(np.float32)
    if errors is not None:
        arrays |= {"doubted": errors.rows, "suggested": errors.suggested, "margin": errors.margin}
    if clusters is not None:
        arrays |= {"group": clusters.number, "strength": clusters.strength}
        arrays["centers"] = clusters.centers
    made_of = {"of": _made_of(made.survey), "smallest": str(made.smallest)}
    derived.keep(run, layout.curation(made.survey.split), arrays, made_of)


def load_curation(run: Run, survey: Survey, smallest: int | None) -> Curation | None:
    """What was found in the images of a survey before; None where nothing usable is kept."""
    kept = _find(run, survey)
    wanted = smallest or smallest_cluster(len(survey))
    return kept if kept is not None and kept.smallest == wanted else None


def _find(run: Run, survey: Survey) -> Curation | None:
    """What is kept, of whatever size the groups are."""
    n, of = len(survey), _made_of(survey)

    def read(file: Tensors) -> Curation | None:
        if file.metadata.get("of") != of:
            return None
        places = _below(n, file.array("places", "I64", (n, None)))
        neighbours = Neighbours(places, file.array("distances", "F32", places.shape))
        counts = _below(n + 1, file.array("counts", "I64", (None,)))
        ends = np.cumsum(counts)[:-1]

        def grouped(array: np.ndarray) -> tuple[np.ndarray, ...]:
            return tuple(np.split(array, ends)) if len(counts) else ()

        differences = file.maybe("differences", "F32", (int(counts.sum()),))
        copies = Copies(
            tuple(_below(n, file.array("kept", "I64", (len(counts),))).tolist()),
            grouped(_below(n, file.array("others", "I64", (int(counts.sum()),)))),
            None if differences is None else grouped(differences),
            float(file.array("usual", "F32", (1,))[0]),
        )
        doubted, number = file.maybe("doubted", "I64", (None,)), file.maybe("group", "I64", (n,))
        errors = clusters = None
        if doubted is not None:
            suggested = _below(MOST_LABELS, file.array("suggested", "I64", doubted.shape))
            margin = file.array("margin", "F32", doubted.shape)
            errors = LabelErrors(_below(n, doubted), suggested, margin)
        if number is not None:
            centers = file.array("centers", "F32", (None, survey.mu.shape[1]))
            _below(len(centers) + 1, number + 1)  # −1 is in none
            clusters = Clusters(number, file.array("strength", "F32", (n,)), centers)
        smallest = int(file.metadata["smallest"])
        return Curation(survey, neighbours, copies, errors, clusters, smallest)

    return derived.find(run, layout.curation(survey.split), read)


def _below(n: int, numbers: np.ndarray) -> np.ndarray:
    """`numbers`, or a ValueError where one is not in [0, n): a run's files are untrusted."""
    if len(numbers) and not 0 <= numbers.min(initial=0) <= numbers.max(initial=0) < n:
        raise ValueError("a number leads nowhere")
    return numbers


def _made_of(survey: Survey) -> str:
    """All that a curation depends on, but for the size of groups."""
    digest = hashlib.blake2b(repr((VERSION, survey.label_names)).encode(), digest_size=16)
    for array in (survey.mu, survey.labels, survey.hashes):
        digest.update(b"" if array is None else np.ascontiguousarray(array).data)
    return digest.hexdigest()
