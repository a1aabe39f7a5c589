"""Estimates of several runs as a table that a paper takes: all of it in rows, LaTeX to paste."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vae_core.evaluation.measure import Estimate, Measure, measures
from vae_core.units import plus_minus, uncertain_digits

Table = Mapping[str, Mapping[str, Estimate]]
"""{run: {measure: what it came to}}; what is not known is not there."""

ARROWS = {"lower": r"$\downarrow$", "higher": r"$\uparrow$", "neither": ""}

SYMMETRIC = 0.25
"""How far the halves of an interval may differ, as a part of the larger, to be told as one: those
of shares always do a little, and a column reads better in one notation."""

SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "−": "$-$", "β": r"$\beta$", "σ": r"$\sigma$", "λ": r"$\lambda$", "γ": r"$\gamma$",
}  # fmt: skip


def comparable(table: Table, name: str) -> bool:
    """Whether what a measure came to of these runs can be held against each other."""
    return len({each[name].basis for each in table.values() if name in each}) < 2


def cautions(table: Table) -> list[str]:
    """Which measures cannot be compared between these runs, a sentence."""
    names = dict.fromkeys(name for each in table.values() for name in each)
    apart = [measures[name].label for name in names if not comparable(table, name)]
    if not apart:
        return []
    return [
        "These cannot be held against each other, as runs were not measured on the same images, by "
        f"the same features: {', '.join(apart)}."
    ]


def remarks(table: Table) -> dict[str, str]:
    """What figures were measured on and what has to be known beside them, by what it is about: the
    measures, and the runs where it is not about all of them. What is said of the same is one."""
    about: dict[str, dict[str, list[str]]] = {}
    for run, each in table.items():
        for name, found in each.items():
            for sentence in filter(None, (found.measured_on, *found.note.splitlines())):
                about.setdefault(sentence, {}).setdefault(run, []).append(measures[name].label)
    measured = sum(map(bool, table.values()))
    said: dict[str, list[str]] = {}
    for sentence, runs in about.items():
        labels = ", ".join(dict.fromkeys(label for each in runs.values() for label in each))
        where = "" if len(runs) == measured else f" ({', '.join(runs)})"
        said.setdefault(f"{labels}{where}", []).append(f"{sentence.removesuffix('.')}.")
    return {head: " ".join(sentences) for head, sentences in said.items()}


def row(run: str, name: str, found: Estimate) -> dict[str, Any]:
    """One figure with all that has to be known of it."""
    return {
        "run": run,
        "measure": name,
        "value": found.value,
        "low": found.low,
        "high": found.high,
        "unit": measures[name].unit,
        "measured_on": found.measured_on,
        "note": " ".join(found.note.split()),
    }


def rows(table: Table) -> list[dict[str, Any]]:
    """One for each figure of each run, at full precision."""
    return [row(run, name, found) for run, each in table.items() for name, found in each.items()]


def latex_of(table: Table) -> str:
    """The table with a line for each run, for the package booktabs: figures rounded to what their
    intervals tell, the best of a column in bold, and below it what was measured on what."""
    names = list(dict.fromkeys(name for each in table.values() for name in each))
    best = {name: _best(table, name) for name in names}
    heads = [_head(measures[name]) for name in names]
    lines = [
        rf"\begin{{tabular}}{{l{'r' * len(names)}}}",
        r"\toprule",
        " & ".join(["Run", *heads]) + r" \\",
        r"\midrule",
    ]
    for run, each in table.items():
        cells = (_cell(each.get(name), bold=each.get(name) is best[name]) for name in names)
        lines.append(" & ".join([escaped(run), *cells]) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    said = [*(f"{head}: {text}" for head, text in remarks(table).items()), *cautions(table)]
    lines += [f"% {each}" for each in said]
    return "\n".join([*lines, "% ± is half of the 95 % interval.", ""])


def rounded(found: Estimate) -> str:
    """A figure with its interval, rounded to two digits of the uncertainty: "90.0 ± 1.9"; where it
    lies to one side, "0.41 [0.35, 0.44]"; four digits without an interval."""
    if found.low is None or found.high is None:
        return f"{found.value:.4g}"
    up, down = found.high - found.value, found.value - found.low
    if abs(up - down) <= SYMMETRIC * max(up, down):
        return plus_minus(found.value, (up + down) / 2)
    digits = uncertain_digits(max(up, down))
    return f"{found.value:.{digits}f} [{found.low:.{digits}f}, {found.high:.{digits}f}]"


def escaped(text: str) -> str:
    """Words as LaTeX that shows just them."""
    return "".join(SPECIAL.get(each, each) for each in text)


def _head(entry: Measure) -> str:
    unit = f" ({entry.unit})" if entry.unit else ""
    return f"{entry.head or escaped(entry.label)}{escaped(unit)} {ARROWS[entry.better]}".strip()


def _cell(found: Estimate | None, bold: bool) -> str:
    if found is None:
        return "--"
    text = rounded(found).replace("±", r"\pm")
    return rf"$\mathbf{{{text}}}$" if bold else f"${text}$"


def _best(table: Table, name: str) -> Estimate | None:
    """The best of several; None where there is no better end, or nothing to be better than."""
    entry, found = measures[name], [each[name] for each in table.values() if name in each]
    if entry.better == "neither" or len(found) < 2 or not comparable(table, name):
        return None
    choose = min if entry.better == "lower" else max
    return choose(found, key=lambda each: each.value)
