"""`make bench`: everything about speed as one self-contained page.

The training benchmark, what growth costs, and how long beginning takes, each by the command that
the page names. `--quick` takes minutes and small sizes: it shows that all of it works, no more.
"""

from __future__ import annotations

import html
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import plotly.graph_objects as go
import typer

from benchmarks import starting, training
from benchmarks.growth import GROWTHS, Growth, Row, grown
from benchmarks.workloads import WORKLOADS

OUTPUT = training.ROOT / "build" / "benchmarks.html"
QUICK_IMAGES = 200
COLOURS = {"ours": "#1f6feb", "bare": "#8b949e", "pythae": "#d29922", "tutorial": "#bc4c00"}
SHARES = ("#1f6feb", "#2da44e", "#8250df", "#d29922", "#bc4c00", "#8b949e", "#57606a")
"""Of where our time goes, in the order in which it is told."""

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Benchmarks</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: #1f2328; background: #fff;
  max-width: 1080px; margin: 2rem auto; padding: 0 1rem; }}
h1 {{ font-size: 1.6rem; }} h2 {{ font-size: 1.15rem; margin: 2.2rem 0 .3rem; }}
h2 {{ border-top: 1px solid #d8dee4; padding-top: 1.2rem; }}
p {{ margin: .2rem 0 .8rem; color: #57606a; }} code {{ background: #f1f3f5; padding: .1rem .3rem; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
th, td {{ text-align: right; padding: .25rem .7rem; border-bottom: 1px solid #d8dee4; }}
th {{ font-weight: 600; }} th:first-child, td:first-child {{ text-align: left; }}
.beside {{ display: grid; grid-template-columns: 3fr 2fr; gap: 1.5rem; align-items: center; }}
.beside > * {{ min-width: 0; overflow-x: auto; }}
@media (max-width: 800px) {{ .beside {{ grid-template-columns: 1fr; }} }}
</style><script>{plotly}</script></head><body>
<h1>Benchmarks</h1><p>{about}</p>
{sections}
</body></html>
"""


def table(head: list[str], rows: list[list[Any]]) -> str:
    """An HTML table; None is a dash, numbers have four figures."""

    def cell(value: Any, tag: str = "td") -> str:
        if isinstance(value, float):
            value = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
        elif isinstance(value, int):
            value = f"{value:,}"
        return f"<{tag}>{'–' if value is None else html.escape(str(value))}</{tag}>"

    lines = ["".join(cell(each, "th") for each in head)]
    lines += ["".join(cell(each) for each in row) for row in rows]
    return "<table>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"


def drawn(figure: go.Figure, x: str, y: str) -> str:
    """A figure as HTML that needs plotly's script, which the page holds once."""
    figure.update_layout(
        template="plotly_white",
        height=300,
        margin={"l": 55, "r": 15, "t": 15, "b": 45},
        xaxis_title=x,
        yaxis_title=y,
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.02, "traceorder": "normal"},
        font={"family": "system-ui, sans-serif", "color": "#1f2328"},
        colorway=[COLOURS["ours"]],
    )
    found: str = figure.to_html(
        full_html=False, include_plotlyjs=False, config={"displayModeBar": False}
    )
    return found


def section(title: str, said: str, *parts: str) -> str:
    """A heading, a line below it, and parts side by side."""
    beside = "".join(f"<div>{part}</div>" for part in parts)
    layout = f'<div class="beside">{beside}</div>' if len(parts) > 1 else beside
    return f"<h2>{html.escape(title)}</h2><p>{said}</p>{layout}"


def of_training(result: dict[str, Any], command: str) -> str:
    """Images/s of every side as shares of our bare steps, the table, and where our time goes."""
    workloads = result["workloads"]
    figure = go.Figure()
    for side, colour in COLOURS.items():
        shares = [
            None if not (found[side] and found["bare"]) else 100 * found[side] / found["bare"]
            for found in workloads.values()
        ]
        if side != "bare":
            figure.add_bar(name=side, x=list(workloads), y=shares, marker_color=colour)
    figure.add_hline(100, line={"color": COLOURS["bare"], "dash": "dash"})
    speeds = [*COLOURS, "ratio_bare", "ratio_pythae", "ratio_tutorial", "precision"]
    rows = [[name, *(found[key] for key in speeds)] for name, found in workloads.items()]
    kinds = list(next(iter(workloads.values()))["shares"])
    where = [
        [name, *(f"{found['shares'][kind]:.1%}" for kind in kinds)]
        for name, found in workloads.items()
    ]
    spent = go.Figure()
    for kind, colour in zip(kinds, SHARES, strict=False):
        width = [100 * found["shares"].get(kind, 0.0) for found in workloads.values()]
        name = kind.replace("_", " ")
        spent.add_bar(name=name, y=list(workloads), x=width, marker_color=colour, orientation="h")
    spent.update_layout(barmode="stack")
    spent.update_yaxes(autorange="reversed")
    bound = [
        [
            name,
            found.get("sgemm_gflops"),
            found.get("sgemm_images_per_s"),
            *(f"{found['of_sgemm'][side]:.0%}" for side in ("ours", "bare") if "of_sgemm" in found),
        ]
        for name, found in workloads.items()
    ]
    presets = ", ".join(f"{name}: {WORKLOADS[name].preset}" for name in workloads)
    tables = (
        table(["", "GFLOP/s of sgemm", "images/s it allows", "ours, of it", "bare, of it"], bound),
        table(["our time", *(kind.replace("_", " ") for kind in kinds)], where),
    )
    return (
        section(
            "Training, images/s",
            f"<code>{html.escape(command)}</code>. {html.escape(presets)}. Medians; ratios are of "
            "the same round.",
            table(["", *(key.replace("_", " ") for key in speeds)], rows),
        )
        + section(
            "Beside our bare steps, and where our time goes",
            "In per cent: images/s of the bare steps, which are the dashed line; time of a run.",
            drawn(figure, "", "%"),
            drawn(spent, "%", ""),
        )
        + section("The bound, and the shares in figures", "", "<br>".join(tables))
    )


def of_growth(growth: Growth, rows: list[Row], command: str) -> str:
    """One curve and its table."""
    figure = go.Figure()
    columns = [key for key in rows[0] if key != growth.x]
    x = [row[growth.x] for row in rows]
    figure.add_scatter(x=x, y=[row[growth.y] for row in rows], mode="lines+markers", name=growth.y)
    figure.update_xaxes(type="log", tickvals=x, ticktext=[f"{value:,.0f}" for value in x])
    figure.update_yaxes(rangemode="tozero")
    cells = [[int(row[growth.x]), *(row[key] for key in columns)] for row in rows]
    return section(
        growth.title,
        f"<code>{html.escape(command)}</code>",
        drawn(figure, growth.x, growth.y),
        table([growth.x, *columns], cells),
    )


def of_starting(result: dict[str, Any], command: str) -> str:
    """What a person waits for at the beginning, beside the goals."""
    rows = []
    for key, goal in result["goals"].items():
        what, unit = key.replace("_", " ").rsplit(" ", 1)
        rows.append([f"{what}, {unit.replace('mb', 'MB')}", result.get(key), goal])
    return section(
        "Beginning",
        f"<code>{html.escape(command)}</code>",
        table(["", "measured", "goal"], rows),
    )


def measured_growth(name: str, quick: bool) -> str:
    """Measure one kind of growth, and draw it."""
    command = f"python -m benchmarks.growth --json --only {name}{' --quick' if quick else ''}"
    return of_growth(GROWTHS[name], grown(name, quick), command)


def page(about: dict[str, Any], sections: list[str]) -> str:
    """The whole page, plotly's script inside."""
    from plotly.offline import get_plotlyjs

    words = "; ".join(f"{key} {value}" for key, value in about.items() if value is not None)
    return PAGE.format(
        plotly=get_plotlyjs(), about=html.escape(words), sections="\n".join(sections)
    )


def main(
    quick: Annotated[bool, typer.Option(help="Small sizes: a run of minutes.")] = False,
    rounds: Annotated[int, typer.Option(min=1, help="Of every comparison.")] = 3,
    workloads: Annotated[str, typer.Option(help="Of training, by commas.")] = ",".join(WORKLOADS),
    without: Annotated[str, typer.Option(help="Rivals to leave out, by commas.")] = "",
    growths: Annotated[str, typer.Option(help="Kinds of growth, by commas.")] = ",".join(GROWTHS),
    parts: Annotated[str, typer.Option(help="Of beginning, by commas.")] = ",".join(starting.PARTS),
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder with MNIST; else ../shared/data or data.")
    ] = None,
    output: Annotated[Path, typer.Option(help="Where the page is written.")] = OUTPUT,
) -> None:
    """Measure everything about speed and write it as one page."""
    began = time.monotonic()
    rounds = 1 if quick else rounds
    names = training.chosen(workloads, list(WORKLOADS), "--workloads")
    left_out = training.chosen(without, training.RIVALS, "--without")
    grow = training.chosen(growths, list(GROWTHS), "--growths")
    begin = training.chosen(parts, list(starting.PARTS), "--parts")
    parts_of_page: list[tuple[str, Callable[[], str]]] = []
    if names:
        sides = training.sides_without(left_out)
        if any(WORKLOADS[name].shape is None for name in names):
            data_dir = training.mnist_folder(data_dir)  # at once, and not when it is their turn
        small: dict[str, Any] = {"epochs": 1, "images": QUICK_IMAGES} if quick else {}
        words = [f"--workloads {','.join(names)}", f"--rounds {rounds}"]
        words += [f"--{key} {value}" for key, value in small.items()]
        words += [f"--without {','.join(left_out)}"] if left_out else []
        command = f"python -m benchmarks.training --json {' '.join(words)}"

        def trained() -> str:
            found = training.run(names, sides, rounds, data_dir, **small)
            print(json.dumps(found), file=sys.stderr)
            return of_training(found, command)

        parts_of_page.append(("Training, images/s", trained))
    if begin:
        asked = f"python -m benchmarks.starting --json --only {','.join(begin)} --rounds {rounds}"
        begun = partial(starting.measure, begin, rounds, data_dir)
        parts_of_page.append(("Beginning", lambda: of_starting(begun(), asked)))
    for name in grow:
        parts_of_page.append((GROWTHS[name].title, partial(measured_growth, name, quick)))
    sections, failed = [], []
    for title, measure in parts_of_page:
        try:
            sections.append(measure())
        except (Exception, SystemExit) as error:  # what the other parts have measured is kept
            print(f"{title}: {error}", file=sys.stderr)
            failed.append(title)
            reason = (
                "see the terminal" if isinstance(error, SystemExit) else html.escape(str(error))
            )
            sections.append(section(title, f"This could not be measured: {reason}"))
    about = {**training.machine(), "minutes": round((time.monotonic() - began) / 60, 1)}
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(page(about, sections), encoding="utf-8")
    print(output)
    if failed:
        raise training.refuse(f"not measured: {', '.join(failed)}; what was said is above.")


if __name__ == "__main__":
    typer.run(main)
