"""What the codes of a run tell: the command represent, and the options that evaluate has of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from vae_core import process
from vae_core.cli.answering import answering
from vae_core.cli.options import (
    DataDirOption,
    JsonOption,
    LinesOption,
    RunArgument,
    StoreOption,
    WeightsOption,
    print_json,
    print_table,
)
from vae_core.runs import Run, Store

RepresentationOption = Annotated[
    bool,
    typer.Option(
        "--representation",
        help="Also what codes tell: of the images, of each other, of labels and of factors.",
    ),
]
ProtocolOption = Annotated[
    Literal["quick", "locatello"] | None,
    typer.Option(
        help="With the representation: locatello adds every score of known factors by the protocol "
        "of Locatello et al. (2019); minutes."
    ),
]
EstimatorOption = Annotated[
    Literal["full", "stratified", "weighted"],
    typer.Option(help="Of q(z): all posteriors, or those of a minibatch as β-TCVAE trains by."),
]

app = typer.Typer()


@app.command()
def represent(
    run: RunArgument,
    split: Annotated[Literal["validation", "test"], typer.Option(help="Which images.")] = (
        "validation"
    ),
    protocol: ProtocolOption = None,
    estimator: EstimatorOption = "full",
    data_dir: DataDirOption = None,
    weights: WeightsOption = "last",
    store: StoreOption = None,
    as_json: JsonOption = False,
    as_lines: LinesOption = False,
) -> None:
    """Measure what the codes of held-out images tell, and keep it."""
    if as_lines:
        process.prepare()
    from vae_core.representation import represent as measured

    with answering(as_lines) as say:
        found = Store(store).get(run)
        told = measured(found, split, data_dir, weights, protocol or "quick", estimator, say)
    if as_lines:
        return
    if as_json:
        print_json(told)
    else:
        print_representation(told)


def representation_of(
    run: Run,
    split: str,
    data_dir: str | None,
    weights: str,
    asked: bool,
    protocol: Literal["quick", "locatello"] | None,
    progress: Any,
) -> dict[str, Any]:
    """`{"representation": …}` for the report of `evaluate` where it was asked for, {} else."""
    if not asked and protocol is None:
        return {}
    from vae_core.representation import represent as measured

    told = measured(run, split, data_dir, weights, protocol or "quick", progress=progress)
    return {"representation": told}


def print_representation(found: dict[str, Any]) -> None:
    """Print the figures as tables, and what has to be known beside them."""
    aggregate, probes, published = found["aggregate"], found["probes"], found["locatello"]
    if aggregate:
        parts = (
            "rate", "mutual_information", "marginal_kl", "total_correlation", "dimension_wise_kl",
        )  # fmt: skip
        rows = [
            (name, f"{part['value']:.4g} ± {part['se']:.2g}", _between(part))
            for name in parts
            if (part := aggregate[name])
        ]
        print_table([("nats", "of these images", "of all that there could be"), *rows])
    if probes:
        read = [
            (
                each["features"],
                str(each["dims"]),
                _share(each["linear"]),
                _share(each["neighbours"]),
            )
            for each in probes["of"]
        ]
        print_table([("labels read from", "dims", "linear", "neighbours"), *read])
        print(f"{probes['asked']} images were asked; always the commonest: {probes['chance']:.3f}.")
    if quick := found.get("quick"):
        print_table([("score", "means"), *((n, f"{v:.3f}") for n, v in quick["means"].items())])
    if published:
        scores = published["scores"].items()
        print_table([("Locatello et al. (2019)", ""), *((n, f"{v:.3f}") for n, v in scores)])
    for sentence in found["remarks"]:
        print(sentence)


def _between(part: dict[str, Any]) -> str:
    low, high = part["low"], part["high"]
    return "–" if low is None or high is None else f"{low:.4g} to {high:.4g}"


def _share(found: dict[str, Any]) -> str:
    return f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"
