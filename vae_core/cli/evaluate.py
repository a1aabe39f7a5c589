"""The command that measures a trained model: evaluate."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal

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
    cell,
    print_json,
    print_rows,
    print_table,
)
from vae_core.cli.quality import (
    FeaturesOption,
    PriorsOption,
    QualityOption,
    SamplesOption,
    print_quality,
)
from vae_core.cli.representation import (
    ProtocolOption,
    RepresentationOption,
    print_representation,
    representation_of,
)
from vae_core.errors import UserError
from vae_core.runs import Run, Store, in_words

if TYPE_CHECKING:
    from vae_core.data import Dataset, ImageSet
    from vae_core.loading import LoadedRun
    from vae_core.progress import Progress

app = typer.Typer()

COLUMNS = ("measure", "value", "low", "high", "unit", "measured_on")
APART = ("data_difference", "nll_notes")
"""Of a report: sentences, which stand below the table."""


@app.command()
def evaluate(
    run: RunArgument,
    split: Annotated[Literal["validation", "test"], typer.Option(help="Which images.")] = (
        "validation"
    ),
    k: Annotated[
        int | None,
        typer.Option("--k", min=1, help="Also log p(x), by so many weighted draws an image."),
    ] = None,
    images: Annotated[
        int | None, typer.Option(min=1, help="Only the first so many images of the part.")
    ] = None,
    draws_at_once: Annotated[
        int | None,
        typer.Option(min=1, help="Draws of an image decoded together; else as many as fit."),
    ] = None,
    prior: PriorsOption = None,
    quality: QualityOption = False,
    samples: SamplesOption = None,
    features: FeaturesOption = "auto",
    representation: RepresentationOption = False,
    protocol: ProtocolOption = None,
    measure: Annotated[
        list[str] | None,
        typer.Option(help="A measure of the page Evaluate alone, such as nll; repeat it."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws: same seed, same draws.")] = 0,
    device: Annotated[
        Literal["auto", "cpu", "cuda", "mps"], typer.Option(help="Where the draws are weighed.")
    ] = "cpu",
    data_dir: DataDirOption = None,
    weights: WeightsOption = "last",
    store: StoreOption = None,
    as_json: JsonOption = False,
    as_lines: LinesOption = False,
) -> None:
    """Measure a trained model on images that it has not learned from, in nats per image.

    They are those that the run itself held out; what has come or gone since is told. With --k the
    figures hold −log p(x) too, an upper bound of it that is the closer the larger k is, with its
    standard error over images, and bits_per_dim is of that. With --quality samples and
    reconstructions are compared with the images. Both are kept beside the run, and not worked out
    again.
    """
    if not quality and samples is not None:
        raise UserError("Samples are for comparing pictures.", shell="--quality")
    if not quality and k is None and prior:
        raise UserError("A prior is for log p(x) or for samples.", shell="--k or --quality")
    if k is not None and prior and len(prior) > 1:
        raise UserError("log p(x) is of one prior; name a single one.", shell="--prior")
    if "torch" not in sys.modules:
        process.prepare()
    from vae_core.evaluation.likelihood import Asked, evaluate_likelihood, likelihood_of, settled
    from vae_core.loading import load_part, load_run
    from vae_core.training.device import choose_device

    found = Store(store).get(run)
    if measure:
        _measures(found, measure, split, images, k, as_json, as_lines)
        return
    chosen = str(choose_device(device))
    own = prior[0] if prior else None
    asked = None if k is None else Asked(k, split, images, own, weights, seed)
    compared = None
    with answering(as_lines) as say:
        if quality:
            from vae_core.quality import measure_quality
            from vae_core.quality import report as told

            pictures = (split, data_dir, weights, samples, prior or (), features)
            compared = told(measure_quality(found, *pictures, say))
            if as_lines and asked is None:  # whoever asked reads what is kept
                return
        if as_lines and asked is not None:  # whoever asked reads what is kept
            evaluate_likelihood(found, asked, data_dir, draws_at_once, chosen, say)
            return
        if asked is not None:
            settled(found, asked)  # what cannot be told is said before any work
        codes = representation_of(found, split, data_dir, weights, representation, protocol, say)
        loaded = load_run(found, chosen, weights).sound()
        dataset, part = load_part(found, split, data_dir, say)
        report, terms = _measured(loaded, dataset, part, split, images, say)
        if asked is not None:
            report |= likelihood_of(loaded, dataset, part, asked, draws_at_once, say).report()
    if as_lines:
        return
    if as_json:
        beside = codes | ({"quality": compared} if compared else {})
        print_json(report | {"terms": terms} | beside)
    else:
        shown = {key: value for key, value in report.items() if key not in APART}
        print_table([(key, cell(value)) for key, value in (terms | shown).items()])
        for note in report.get("nll_notes", ()):
            print(note, file=sys.stderr)
        if compared:
            print_quality(compared)
        for each in codes.values():
            print_representation(each)
    if dataset.difference:
        said = dataset.difference.sentence
        print(f"{said} {report['images']} {split} images were measured.", file=sys.stderr)
    unknown = [name for name, value in terms.items() if value is None]
    if unknown:
        print(
            f"{', '.join(unknown)} cannot be told: run {run!r} was saved without the weights of "
            "its objective.",
            file=sys.stderr,
        )


def _measures(
    run: Run,
    names: list[str],
    split: str,
    images: int | None,
    k: int | None,
    as_json: bool,
    as_lines: bool,
) -> None:
    """Estimates of these measures, with their 95 % intervals."""
    from vae_core.evaluation import Request, all_measured
    from vae_core.evaluation.table import row

    request = Request(split, images, k or Request.k)
    with answering(as_lines) as say:
        found, problems = all_measured(run, names, request, say)
        if found and not as_lines:
            print_rows([row(run.id, *each) for each in found.items()], COLUMNS, as_json)
        if problems:
            raise UserError(" ".join(problems))


def _measured(
    loaded: LoadedRun,
    dataset: Dataset,
    part: ImageSet,
    split: str,
    images: int | None,
    say: Progress,
) -> tuple[dict[str, Any], dict[str, float | None]]:
    """The report of the objective's terms on the first `images` of a part, and the terms."""
    import numpy as np
    import torch

    from vae_core.data.images import subset
    from vae_core.in_force import controls_in_force
    from vae_core.metrics import measure
    from vae_core.types import Context

    binarise = loaded.config.data.binarise
    words = in_words(len(part), split, binarise)
    if images is not None and images < len(part):
        words = f"first {images} of {words}"
        part = subset(part, np.arange(images))
    noise = torch.Generator(loaded.model.device).manual_seed(0)
    controls = controls_in_force(loaded.run, loaded.step)
    step, known = max(0, loaded.step - 1), loaded.card.n_train
    context = Context(step, noise, controls, train_images=known)
    found = measure(loaded.model, loaded.objective, part, context, progress=say)
    terms = {
        name: value if math.isfinite(value) else None
        for name, value in (found.terms | {"total": found.total}).items()
    }
    report = found.report() | {
        "split": split,
        "measured_on": words,
        "binarise": binarise,
        "run": loaded.run.id,
        "step": loaded.step,
        "data_difference": dataset.difference.report() if dataset.difference else None,
    }
    return report, terms
