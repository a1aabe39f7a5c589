"""A score of many images: which one, from where on it is an alarm, how well it finds what is
strange, and the images in its order."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from latent_workbench.encodings.encoded_images import opening_spinner
from latent_workbench.encodings.score_charts import histogram, precision_recall_figure
from latent_workbench.encodings.scored_images import ScoredImages
from latent_workbench.shared.formatting import grouped, image_count, number
from latent_workbench.shared.pictures import data_url
from latent_workbench.shared.state import restore
from latent_workbench.shared.theme import chart
from vae_core.errors import UserError
from vae_core.imaging.resize import thumbnails
from vae_core.latent.detection import precision_recall

if TYPE_CHECKING:
    from vae_core.score_images import Scored

LISTED = 200
"""Rows of the table, each with its picture; the file has all."""

THUMBNAIL = 40
"""Largest side in px of a picture in the table."""

FIRST = ("knn", "nelbo", "recon", "kl")
"""Which score is shown until another one is chosen: the first of these that is known."""

BY_RATE, BY_SHARE, BY_HAND = "False alarms", "Strangest", "By hand"


@dataclass(frozen=True)
class Ranking:
    """score: its name. threshold: above it is an alarm. normal: the labels that are normal, None
    where none were chosen."""

    score: str
    threshold: float
    normal: tuple[str, ...] | None


def draw_scores(found: ScoredImages, key: str, normal_labels: Sequence[str]) -> Ranking:
    """The controls, the histogram, and, where labels are known, how well each score does.

    Args:
        normal_labels: that are normal until others are chosen.
    """
    scored = found.scored
    first, second, third, fourth = st.columns([1.6, 1.3, 1.1, 1.5], vertical_alignment="bottom")
    with first:
        by = _choose_score(scored, key)
    threshold = _choose_threshold(scored, by, key, second, third)
    values = scored.scores[by]
    above = int((values > threshold).sum())
    fourth.markdown(
        f"**{grouped(above)}** of {_counted(len(values))} above {number(threshold)}",
        text_alignment="right",
    )
    entry = _entries()[by]
    paper = f" *{entry.paper}*" if entry.paper else ""
    st.caption(f"{entry.blurb}{paper}")
    names = _label_names(scored)
    chart_place, beside = st.columns([1.25, 1], gap="medium") if names else (st.container(), None)
    with chart_place:
        figure = histogram(values, scored.normal.get(by), threshold, _axis(by))
        chart(figure, f"{key}-histogram")
    normal = None
    if beside is not None:
        with beside:
            normal = _detections(scored, by, names, normal_labels, key)
    return Ranking(by, threshold, normal)


def _entries() -> Any:
    from vae_core.latent.novelty import novelties

    return novelties


def _axis(by: str) -> str:
    unit = {"knn": "latent units", "mahalanobis": "standard deviations"}.get(by, "nats per image")
    return f"{_entries()[by].label}, {unit}"


def _counted(count: int) -> str:
    return f"{grouped(count)} {'image' if count == 1 else 'images'}"


def _choose_score(scored: Scored, key: str) -> str:
    entries = _entries()
    names = [entry.name for entry in entries if entry.name in scored.scores]
    first = next((name for name in FIRST if name in names), names[0])
    restore(f"{key}-score", first, names)
    help = "\n".join(f"- **{entries[name].label}**: {entries[name].blurb}" for name in names)
    by = st.selectbox(
        "Score", names, key=f"{key}-score", format_func=lambda name: entries[name].label, help=help
    )
    assert by is not None
    return by


def _choose_threshold(scored: Scored, by: str, key: str, how: Any, value: Any) -> float:
    from vae_core.latent.novelty import threshold

    values, normal = scored.scores[by], scored.normal.get(by)
    rated = BY_SHARE if normal is None else BY_RATE
    restore(f"{key}-by", rated, [rated, BY_HAND])
    chosen = how.segmented_control(
        "Threshold", [rated, BY_HAND], required=True, key=f"{key}-by",
        help="By the share of validation images that may be flagged though nothing is wrong with "
        "them, or a number of your own."
        if normal is not None
        else "Without validation images the chance of a false alarm is not known; flag a share of "
        "these images, or take a number of your own.",
    )  # fmt: skip
    restore(f"{key}-rate", 5.0)
    rate = st.session_state[f"{key}-rate"]
    from_rate = threshold(values if normal is None else normal, rate / 100)
    if chosen == BY_HAND:
        hand = f"{key}-threshold-{by}"
        restore(hand, from_rate)
        step = float(f"{max(float(np.std(values)), 1e-6) / 10:.0e}")
        typed = value.number_input("Above", key=hand, step=step, format="%.4g")
        return float(from_rate if typed is None else typed)
    words = "% of validation" if normal is not None else "% of these"
    typed = value.number_input(
        words, min_value=0.0, max_value=50.0, step=1.0, format="%.1f", key=f"{key}-rate"
    )
    return threshold(values if normal is None else normal, float(typed or 0.0) / 100)


def _label_names(scored: Scored) -> list[str]:
    survey = scored.survey
    if survey.labels is None:
        return []
    return [survey.label_name(int(label)) for label in np.unique(survey.labels)]


def _detections(
    scored: Scored, by: str, names: list[str], normal_labels: Sequence[str], key: str
) -> tuple[str, ...] | None:
    start = [name for name in names if name in normal_labels]
    restore(f"{key}-normal", start)
    if any(name not in names for name in st.session_state[f"{key}-normal"]):
        st.session_state[f"{key}-normal"] = start
    normal = st.multiselect(
        "Normal labels", names, key=f"{key}-normal",
        help="Images with any other label count as strange; then it is measured how well each "
        "score finds them.",
    )  # fmt: skip
    detections = scored.detections(normal)
    if not detections:
        st.caption(
            "Leave a label out, and every score is measured by how well it finds the images that "
            "have it."
        )
        return None
    entries = _entries()
    best = {
        figure: max(getattr(each, figure) for each in detections.values())
        for figure in ("auroc", "average_precision")
    }
    rows = sorted(detections.items(), key=lambda item: -item[1].auroc)
    marked = [
        {
            "Score": entries[name].label,
            "AUROC": f"{each.auroc:.3f}{' ★' * (each.auroc == best['auroc'])}",
            "Average precision": f"{each.average_precision:.3f}"
            f"{' ★' * (each.average_precision == best['average_precision'])}",
        }
        for name, each in rows
    ]
    table, curve = st.tabs(["Every score", "Precision and recall"])
    table.dataframe(
        {name: [row[name] for row in marked] for name in marked[0]}, hide_index=True,
        height="content", key=f"{key}-detections",
    )  # fmt: skip
    strange = scored.strange(normal)
    assert strange is not None
    shown = dict.fromkeys([by, rows[0][0]])
    curves = {entries[name].label: precision_recall(scored.scores[name], strange) for name in shown}
    with curve:
        figure = precision_recall_figure(curves, float(strange.mean()), entries[by].label)
        chart(figure, f"{key}-precision-recall")
    return tuple(normal)


# --- the images in the order of a score -----------------------------------------------------------


def in_words(share: float, count: int) -> str:
    """What a p-value says, of `count` validation images: "stranger than 97 % of them"."""
    percent = less_strange(np.array([share]), count)[0]
    if percent == 100:
        return f"stranger than all {grouped(count)} validation images"
    return f"stranger than {percent:.0f} % of the validation images"


def less_strange(shares: np.ndarray, count: int) -> np.ndarray:
    """The whole per cent of `count` validation images that are less strange than images with
    p-values `shares` [N]: [N], 100 for those stranger than all."""
    as_strange = np.rint(shares * (1 + count)) - 1  # a p-value counts the image itself
    percent: np.ndarray = np.floor(100 * (1 - as_strange / count) + 1e-9)
    return percent


def pick_image(found: ScoredImages, ranking: Ranking, key: str) -> int:
    """The table of the strangest images, the file with all; returns the row that is picked."""
    scored, by = found.scored, ranking.score
    order = np.argsort(-scored.scores[by], kind="stable")
    rows = order[:LISTED]
    choice = f"{key}-picked"
    restore(choice, int(rows[0]), rows.tolist())
    columns = listed(found, rows, by)
    picked = st.selectbox(
        "Image", rows.tolist(), key=choice,
        format_func=lambda row: f"{found.name(row)} · {number(float(scored.scores[by][row]))}",
        help="The strangest first; or click a row below.",
    )  # fmt: skip

    def clicked() -> None:
        chosen = st.session_state[table_key]["selection"]["rows"]
        if chosen:
            st.session_state[choice] = int(rows[chosen[0]])

    table_key = f"{key}-table-{by}"
    st.dataframe(
        columns, hide_index=True, height=330, row_height=44, key=table_key, on_select=clicked,
        selection_mode="single-row", column_config=_column_config(columns),
    )  # fmt: skip
    words, file = st.columns([2, 1], vertical_alignment="center")
    if len(order) > len(rows):
        words.caption(f"The {grouped(len(rows))} strangest; the file has all images.")
    file.download_button(
        "All as CSV", partial(as_csv, scored, ranking), f"{found.run.id}-scores.csv", "text/csv",
        key=f"{key}-csv", icon=":material/download:", on_click="ignore", width="stretch",
    )  # fmt: skip
    assert picked is not None
    return int(picked)


def listed(found: ScoredImages, rows: np.ndarray, by: str) -> dict[str, list[Any]]:
    """The columns of the table: picture, name, label, every score, and what the p-value of the
    score `by` says."""
    scored = found.scored
    columns: dict[str, list[Any]] = {}
    try:
        with opening_spinner(found.images):
            small = thumbnails(found.images.gather(rows), THUMBNAIL)
            columns["picture"] = [data_url(image) for image in small]
    except UserError:
        pass  # the names and figures are there; the picked image says what is missing
    columns["image"] = [found.name(int(row)) for row in rows]
    if scored.survey.labels is not None:
        columns["label"] = [found.label(int(row)) for row in rows]
    entries = _entries()
    columns[entries[by].label] = scored.scores[by][rows].tolist()
    shares = scored.p_values.get(by)
    if shares is not None:
        columns["stranger than, %"] = less_strange(shares[rows], len(scored.normal[by])).tolist()
    columns |= {
        entries[name].label: values[rows].tolist()
        for name, values in scored.scores.items()
        if name != by
    }
    if scored.places.shape[1] and scored.reference is not scored.survey:
        places = scored.places[rows, 0]
        columns["nearest"] = [scored.reference.name(int(place)) for place in places]
    return columns


def _column_config(columns: dict[str, list[Any]]) -> dict[str, Any]:
    config: dict[str, Any] = {
        name: st.column_config.NumberColumn(format="%.4g")
        for name, values in columns.items()
        if values and isinstance(values[0], float)
    }
    config["picture"] = st.column_config.ImageColumn("", width=56)
    config["stranger than, %"] = st.column_config.NumberColumn(
        format="%.0f", help="Share of the validation images that are less strange"
    )
    return config


def as_csv(scored: Scored, ranking: Ranking) -> bytes:
    """All images with all that is told of them, as `score-images --out` writes it; `outlier` where
    the chosen score is above the chosen threshold."""
    from vae_core.score_images import table

    columns = table(scored, 0.05, ranking.score)
    columns["outlier"] = (scored.scores[ranking.score] > ranking.threshold).tolist()
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue().encode()


def of_what(found: ScoredImages) -> str:
    """What stands beside a figure: "3 000 training images"."""
    return image_count(len(found.scored.survey), found.scored.survey.split)
