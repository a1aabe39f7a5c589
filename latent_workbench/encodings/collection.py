"""What a collection holds: near-duplicates, doubtful labels, groups, and what is rare in it."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from latent_workbench.components.scatter import Colouring
from latent_workbench.encodings.details import pictures
from latent_workbench.encodings.encoded_images import BY_KEY, EncodedImages, opening_spinner
from latent_workbench.encodings.take_home import take_home
from latent_workbench.shared import access
from latent_workbench.shared.current_run import open_in_explore
from latent_workbench.shared.errors import errors_shown, redact
from latent_workbench.shared.explore_view import SAVED
from latent_workbench.shared.formatting import escape_markdown, grouped, number
from latent_workbench.shared.state import rerun_fragment, session
from latent_workbench.shared.tasks import Task, command, result_of
from vae_core.data import Progress
from vae_core.errors import UserError

if TYPE_CHECKING:
    from vae_core.curation import Curation

    Table = Callable[[Curation], Mapping[str, list[object]]]

MANY = 20_000
"""Up to so many images a collection is looked through without being asked."""

SIDE = 72
"""Of pictures, in px."""

GROUPS_A_PAGE, IN_SIGHT = 6, 10
"""Groups that a page shows, and images of each."""

DOUBTS_A_PAGE = 6
TYPICAL = 11
RAREST, IN_A_ROW = 66, 22
LABELS_NAMED = 3


@dataclass
class Looked:
    """asked: of which images, many, somebody wants to know. found: what was found, by the key of
    the images; smallest: the size from which a group counts. shown: the group whose points have a
    colour of their own. right: identities of images whose label somebody found right."""

    asked: set[str] = field(default_factory=set)
    found: dict[str, Curation] = field(default_factory=dict)
    smallest: dict[str, int] = field(default_factory=dict)
    shown: dict[str, int] = field(default_factory=dict)
    right: dict[str, set[int]] = field(default_factory=dict)


def draw(encoded: EncodedImages) -> None:
    """What was found, section by section; while it is looked for, how far that is."""
    made = _found(encoded)
    if made is None:
        return
    from vae_core.curation import table
    from vae_core.latent.label_errors import CLEAR

    errors, clusters = made.errors, made.clusters
    right = session(Looked).right.setdefault(encoded.key, set())
    likely = 0
    if errors is not None:
        likely = int((errors.margin[_doubted(encoded, made, right)] >= CLEAR).sum())
    sections: dict[str, Callable[[EncodedImages, Curation], None]] = {
        f"Near-duplicates · {grouped(len(made.copies.kept))}": _near_duplicates,
        f"Likely mislabelled · {grouped(likely)}": _mislabelled,
        f"Groups · {grouped(0 if clusters is None else len(clusters))}": _groups,
        "What is rare": _rare,
    }
    st.markdown(escape_markdown(made.coverage.sentence, 1000))
    choice, whole, keep = st.columns([5, 1, 1], vertical_alignment="bottom")
    names = list(sections)
    chosen = choice.segmented_control(
        "Look at", range(len(names)), default=0, required=True, format_func=names.__getitem__,
        key=f"collection-section-{encoded.run.id}", label_visibility="collapsed",
    )  # fmt: skip
    with whole:
        _download("All as CSV", partial(_csv, table, made), encoded, "curation.csv",
                  "A row each image: its label and the suggested one, its group, what it is a copy "
                  "of, and how rare it is.")  # fmt: skip
    with keep:
        _download("keep.txt", partial(_keep, made), encoded, "keep.txt",
                  "The images that are left when of each group of near-duplicates one is "
                  "kept.")  # fmt: skip
    with errors_shown(st.warning), opening_spinner(encoded.images):
        _say_what_is_missing(encoded)
        sections[names[chosen]](encoded, made)


def colourings(encoded: EncodedImages) -> list[Colouring]:
    """The groups that were found as colours of the points, and the one that is shown."""
    state = session(Looked)
    made = state.found.get(encoded.key)
    if made is None or made.clusters is None or not len(made.clusters):
        return []
    of = made.clusters.number
    every = Colouring(
        f"groups of {made.smallest} or more", of.astype(float), -1, len(made.clusters) - 1
    )
    shown = state.shown.get(encoded.key)
    if shown is None or shown >= len(made.clusters):
        return [every]
    return [every, Colouring(_colour_name(made, shown), (of == shown).astype(float), 0, 1)]


def colour_by(encoded: EncodedImages) -> str:
    """The colouring of the group that is shown; "" while none is."""
    state = session(Looked)
    made, shown = state.found.get(encoded.key), state.shown.get(encoded.key)
    if made is None or shown is None or made.clusters is None or shown >= len(made.clusters):
        return ""
    return _colour_name(made, shown)


def _colour_name(made: Curation, group: int) -> str:
    return f"in group {group + 1} of those of {made.smallest} or more"


# --- finding --------------------------------------------------------------------------------------


def _found(encoded: EncodedImages) -> Curation | None:
    from vae_core.latent.clusters import smallest_cluster

    state, n = session(Looked), len(encoded.survey)
    if n < 2:
        st.info("One image has no others to be compared with.")
        return None
    if n > MANY and encoded.key not in state.asked:
        st.markdown(
            f"Looks through the {escape_markdown(encoded.description)} for near-duplicates, likely "
            "wrong labels, groups and what is rare. This takes a few minutes for so many."
        )
        if not st.button("Look through them", icon=":material/manage_search:",
                         key=f"collection-look-{encoded.run.id}"):  # fmt: skip
            return None
        state.asked.add(encoded.key)
    smallest = state.smallest.get(encoded.key, smallest_cluster(n))
    made = result_of(
        _looked_through(encoded, smallest), f"collection-{encoded.run.id}",
        lambda: _looked_through.clear(encoded, smallest),
    )  # fmt: skip
    if made is not None and state.found.get(encoded.key) is not made:
        state.found[encoded.key] = made
        st.rerun()  # the points can be coloured by groups now
    return made


@st.cache_resource(max_entries=4, show_spinner=False, hash_funcs=BY_KEY)
def _looked_through(encoded: EncodedImages, smallest: int) -> Task[Curation]:
    """By a process beside the server; where nothing can be kept, in the server itself."""

    def work(progress: Progress) -> Curation:
        from vae_core.curation import curate, load_curation

        run, split = encoded.run, encoded.split
        made = load_curation(run, encoded.survey, smallest)
        if made is None:
            asked = ("--split", split, "--smallest", str(smallest))
            command(run, "curate", run.id, *asked)(progress)
            made = load_curation(run, encoded.survey, smallest)
        return made or curate(run, split, None, smallest, progress)

    return Task(work)


# --- near-duplicates ------------------------------------------------------------------------------


def _near_duplicates(encoded: EncodedImages, made: Curation) -> None:
    from vae_core.curation import copies_table

    copies = made.copies
    if not copies.kept:
        st.caption("No two of these images are near-duplicates.")
        return
    spare = len(copies.superfluous)
    _caption_and_table(
        encoded, made, copies_table, "near-duplicates.csv",
        f"{grouped(spare)} {'image is a' if spare == 1 else 'images are'} near-"
        f"duplicate{'' if spare == 1 else 's'} of {grouped(len(copies.kept))} that can be kept: "
        "alike to the encoder, and Δ at most 16 of 255 grey levels.",
    )  # fmt: skip
    for i in _page(len(copies.kept), GROUPS_A_PAGE, f"copies-{encoded.run.id}"):
        kept, others = copies.kept[i], copies.others[i]
        seen = others[: IN_SIGHT - 1]
        apart = None if copies.differences is None else copies.differences[i]
        told = ["" if apart is None else _apart(apart[j]) for j in range(len(seen))]
        more = len(others) - len(seen)
        st.markdown(
            f"**{grouped(len(others) + 1)} alike**"
            + (f", {grouped(more)} not shown" if more else "")
        )
        _pictures(encoded, np.append(kept, seen), ["keep", *told])


def _apart(difference: float) -> str:
    return "the same" if difference == 0 else f"Δ {number(float(difference))}"


# --- likely mislabelled ---------------------------------------------------------------------------


def _doubted(encoded: EncodedImages, made: Curation, right: set[int]) -> np.ndarray:
    """Places in the list of doubtful labels that nobody found right, int64."""
    assert made.errors is not None
    identities = encoded.survey.identities[made.errors.rows]
    return np.flatnonzero(~np.isin(identities, np.array([*right], identities.dtype)))


def _mislabelled(encoded: EncodedImages, made: Curation) -> None:
    from vae_core.curation import EVIDENCE, doubts_table

    survey, errors = encoded.survey, made.errors
    if errors is None or survey.labels is None:
        st.caption("These images have no labels that could be wrong.")
        return
    right = session(Looked).right.setdefault(encoded.key, set())
    places = _doubted(encoded, made, right)
    if not len(places):
        st.caption("Every image has the label that most of its neighbours have.")
        return
    _caption_and_table(
        encoded, made, doubts_table, "doubtful-labels.csv",
        "Images whose neighbours have another label, the clearest first: mislabelled, or hard to "
        f"tell apart. {grouped(len(places))} in all.",
    )  # fmt: skip
    for place in _page(len(places), DOUBTS_A_PAGE, f"doubts-{encoded.run.id}"):
        at = int(places[place])
        row = int(errors.rows[at])
        own = survey.label_name(int(survey.labels[row]))
        suggested = survey.label_name(int(errors.suggested[at]))
        image, evidence, button = st.columns([1, 5, 1], vertical_alignment="center")
        with image:
            _pictures(encoded, np.array([row]), [""])
        with evidence:
            st.markdown(
                f"**{escape_markdown(own)}** → **{escape_markdown(suggested)}**? "
                f"{_agreed(float(errors.margin[at]))}"
            )
            nearest = made.neighbours.places[row][:EVIDENCE]
            names = [survey.label_name(int(survey.labels[each])) for each in nearest]
            _pictures(encoded, nearest, names)
        if button.button(
            "Looks right", key=f"collection-right-{encoded.run.id}-{row}",
            help="Leaves it out of this list until you close the page.",
        ):  # fmt: skip
            right.add(int(survey.identities[row]))
            rerun_fragment()


def _agreed(margin: float) -> str:
    if margin >= 1:
        return "All its neighbours say so."
    return f"{100 * margin:.0f} % more of its neighbours say so than agree with its label."


# --- groups ---------------------------------------------------------------------------------------


def _groups(encoded: EncodedImages, made: Curation) -> None:
    from vae_core.latent.selection import label_mix

    survey, clusters, n = encoded.survey, made.clusters, len(encoded.survey)
    words, size = st.columns([5, 1.4], vertical_alignment="bottom")
    most = max(2, n // 2)
    smallest = size.number_input(
        "Smallest group", 2, most, min(made.smallest, most),
        key=f"collection-smallest-{encoded.run.id}-{encoded.split}",
        help="Images that a group has at least. Fewer find finer groups.",
    )  # fmt: skip
    if smallest != min(made.smallest, most):
        session(Looked).smallest[encoded.key] = int(smallest)
        session(Looked).shown.pop(encoded.key, None)
        rerun_fragment()
    if clusters is None or not len(clusters):
        words.caption(
            f"There are no groups of at least {grouped(made.smallest)} among {grouped(n)} images: "
            "the encodings form one cloud. Ask for smaller groups."
        )
        return
    alone = int((clusters.number < 0).sum())
    are = "group is" if len(clusters) == 1 else "groups are"
    words.caption(
        f"{grouped(len(clusters))} {are} denser than what lies between; {grouped(alone)} images "
        "are in none. Show colours a group among the points above; Go there opens the direction "
        "that leads to it in Explore."
    )
    for i in _page(len(clusters), GROUPS_A_PAGE, f"groups-{encoded.run.id}"):
        rows = np.flatnonzero(clusters.number == i)
        mix = label_mix(survey, rows)
        named = [
            f"{escape_markdown(name)}: {100 * count / len(rows):.0f} %"
            for name, count in mix.items()
        ]
        rest = len(named) - LABELS_NAMED
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(
                " · ".join([
                    f"**Group {i + 1}**", f"{grouped(len(rows))} images",
                    f"{100 * len(rows) / n:.0f} % of all", *named[:LABELS_NAMED],
                    *([f"{rest} more labels"] if rest > 0 else []),
                ])
            )  # fmt: skip
            _group_buttons(encoded, made, i, rows)
        typical = clusters.typical(i, survey.mu, TYPICAL)
        _pictures(encoded, typical, [""] * len(typical))


def _group_buttons(encoded: EncodedImages, made: Curation, group: int, rows: np.ndarray) -> None:
    state, key = session(Looked), f"{encoded.run.id}-{group}"
    shown = state.shown.get(encoded.key) == group
    if st.button("Hide" if shown else "Show", key=f"collection-show-{key}",
                 icon=":material/palette:",
                 help="Colours its images among the points above."):  # fmt: skip
        state.shown.pop(encoded.key, None)
        if not shown:
            state.shown[encoded.key] = group
        st.rerun()
    if st.button("Go there", key=f"collection-go-{key}",
                 icon=":material/trending_flat:",
                 **access.widget_options("Saves the direction from all other images to these, and "
                                         "opens it in Explore.")):  # fmt: skip
        with errors_shown(st.warning):
            _go_there(encoded, made, group, rows)
    with st.popover("Take home", icon=":material/download:"):
        take_home(encoded, rows, f"group-{key}", f"group-{group + 1}")


def _go_there(encoded: EncodedImages, made: Curation, group: int, rows: np.ndarray) -> None:
    """Save the direction from the other images to those of a group and open Explore with it."""
    from vae_core.latent.saved import forget_direction, save_direction
    from vae_core.latent.selection import direction_between

    others = np.setdiff1d(np.arange(len(encoded.survey)), rows)
    arrow = direction_between(encoded.survey, others, rows)
    name = f"to group {group + 1} of {len(made.clusters or ())} ({encoded.split})"
    # The group of this name that was found before is of other images, or the same direction.
    access.authorized(forget_direction)(encoded.run, name)
    access.authorized(save_direction)(encoded.run, name, arrow.vector * arrow.length)
    open_in_explore(encoded.run.id, arrow.start, SAVED)


# --- what is rare ---------------------------------------------------------------------------------


def _rare(encoded: EncodedImages, made: Curation) -> None:
    found = made.coverage
    if not found.times.any():
        st.caption("All images have the same encoding, so none is rarer than another.")
        return
    st.caption(
        "Farthest from their neighbours first, as a multiple of what is usual: what the model has "
        "seen least of."
    )
    rarest = found.order[:RAREST]
    times = [f"× {number(float(found.times[row]), 'far')}" for row in rarest]
    for start in _page(-(-len(rarest) // IN_A_ROW), 1, f"rare-{encoded.run.id}"):
        here = slice(IN_A_ROW * start, IN_A_ROW * (start + 1))
        _pictures(encoded, rarest[here], times[here])
    labels, groups = st.columns(2)
    if found.few:
        labels.caption(f"Labels with few images; an even share would be {found.even:.0f}")
        labels.dataframe(
            {"label": [name for name, _ in found.few], "images": [count for _, count in found.few]},
            hide_index=True, height=180,
        )  # fmt: skip
    if found.small and made.clusters is not None:
        sizes = made.clusters.sizes
        groups.caption("Small groups")
        groups.dataframe(
            {"group": [i + 1 for i in found.small],
             "images": [int(sizes[i]) for i in found.small]},
            hide_index=True, height=180,
        )  # fmt: skip
    far = found.order[: found.lonely]
    if len(far):
        take_home(encoded, far, f"rare-{encoded.run.id}", "rare")


# --- what the sections share ----------------------------------------------------------------------


def _say_what_is_missing(encoded: EncodedImages) -> None:
    try:
        encoded.images.gather(np.array([0]))
    except UserError as missing:
        st.info(f"The pictures below are drawn by the model. {redact(missing)}")


def _pictures(
    encoded: EncodedImages,
    rows: np.ndarray,
    names: list[str],
    side: int = SIDE,
) -> None:
    """The images at `rows` above `names` and their files; what the model draws of them where they
    are not at hand."""
    try:
        images = encoded.images.gather(rows)
    except UserError:
        labels = None if encoded.survey.labels is None else encoded.survey.labels[rows]
        images = encoded.decoded(encoded.survey.mu[rows], labels)
    pictures(images, names, side, [encoded.name(int(row)) for row in rows])


def _page(count: int, size: int, key: str) -> range:
    """The places in a list of `count` that the chosen page of it shows."""
    pages = -(-count // size)
    if pages <= 1:
        return range(count)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        page = st.number_input(
            f"Page, of {grouped(pages)}", 1, pages, 1, key=f"collection-page-{key}", width=140,
            label_visibility="collapsed",
        )  # fmt: skip
        st.caption(f"page of {grouped(pages)}")
    return range((page - 1) * size, min(page * size, count))


def _caption_and_table(
    encoded: EncodedImages, made: Curation, table: Table, file: str, caption: str
) -> None:
    words, button = st.columns([5, 1], vertical_alignment="center")
    words.caption(caption)
    with button:
        _download("CSV", partial(_csv, table, made), encoded, file, "This list, all of it.")


def _download(
    label: str, content: Callable[[], bytes], encoded: EncodedImages, file: str, help: str
) -> None:
    st.download_button(
        label, content, f"{encoded.run.id}-{file}", key=f"collection-{file}-{encoded.run.id}",
        on_click="ignore", icon=":material/download:", help=help, width="stretch",
    )  # fmt: skip


def _csv(table: Table, made: Curation) -> bytes:
    columns = table(made)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue().encode()


def _keep(made: Curation) -> bytes:
    from vae_core.curation import keep_list

    return "".join(f"{name}\n" for name in keep_list(made)).encode()
