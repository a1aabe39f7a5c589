"""Every disentanglement score of codes that are constructed, whose answer is known.

The factors themselves, in another order, turned by an eighth in two planes, each of them twice, and
noise; by the quick scores and by the published protocol at its full size. Where
`disentanglement_lib` (1.5, of 2020) can be imported, its figures of the same points stand beside
those of the protocol: `pip install --no-deps disentanglement_lib gin-config absl-py six`.
"""

from __future__ import annotations

import json
import sys
import time
import types
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import typer

from vae_core.metrics.disentanglement import Points, Widths, every_score, published_scores
from vae_core.metrics.disentanglement.dci import BOOSTED
from vae_core.metrics.disentanglement.locatello import KNOWN, UNSEEN

SIZES = (3, 6, 8, 10)
CATEGORICAL = (0,)
WIDTH = 0.1
KINDS = ("perfect", "permuted", "turned", "twice", "noise")


def constructed(kind: str, factors: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Codes of images with these factors, int64 [N, F], which are scaled alike: [N, L]."""
    codes = (factors - factors.mean(axis=0)) / factors.std(axis=0)
    c = np.sqrt(0.5)
    turn = np.kron(np.eye(2), np.array([[c, -c], [c, c]]))
    return {
        "perfect": codes,
        "permuted": codes[:, [2, 0, 3, 1]] * [-3.0, 2.0, 5.0, -0.5],
        "turned": codes @ turn,
        "twice": np.concatenate([codes, codes], axis=1),
        "noise": random.normal(size=codes.shape),
    }[kind]


def theirs(known: Points, unseen: Points) -> dict[str, float] | None:
    """The figures of `disentanglement_lib`, from its own functions of codes and factors; None
    where it cannot be imported."""
    try:
        _gin_without_tensorflow()
        from disentanglement_lib.evaluation.metrics import (
            dci,
            modularity_explicitness,
            sap_score,
            utils,
        )
    except ImportError:
        return None
    codes, factors = known.codes.T, known.factors.T
    cut = np.array([np.digitize(z, np.histogram(z, 20)[1][:-1]) for z in codes])
    told = utils.discrete_mutual_info(cut, factors)
    ordered = np.sort(told, axis=0)[::-1]
    importance, _, accuracy = dci.compute_importance_gbt(
        codes, factors, unseen.codes.T, unseen.factors.T
    )
    return {
        "mig_means": float(np.mean((ordered[0] - ordered[1]) / utils.discrete_entropy(factors))),
        "modularity": float(modularity_explicitness.modularity(told)),
        "sap": float(
            sap_score._compute_avg_diff_top_two(
                sap_score._compute_score_matrix(
                    codes, factors, unseen.codes.T, unseen.factors.T, False
                )
            )
        ),
        "dci_disentanglement": float(dci.disentanglement(importance)),
        "dci_completeness": float(dci.completeness(importance)),
        "dci_informativeness": float(accuracy),
    }


def _gin_without_tensorflow() -> None:
    """It asks for `gin.tf`, of which its metrics use the decorator alone, and gin has that."""
    import gin

    fake = types.ModuleType("gin.tf")
    fake.__dict__.update(gin.__dict__)
    sys.modules.setdefault("gin.tf", fake)
    gin.tf = fake
    sys.modules.setdefault("tensorflow", types.ModuleType("tensorflow"))


def scored(kind: str, points: int, rounds: int) -> dict[str, Any]:
    """All scores of one kind of codes."""
    random = np.random.default_rng(0)
    count = points + points * UNSEEN // KNOWN
    factors = np.stack([random.integers(0, n, count) for n in SIZES], axis=1)
    codes = constructed(kind, factors, random)
    known = Points(codes[:points], factors[:points])
    unseen = Points(codes[points:], factors[points:])
    draws = known.codes + WIDTH * random.normal(size=known.codes.shape)
    widths = Widths(np.full_like(draws, 2 * np.log(WIDTH)), draws)
    quick, quick_s = _timed(lambda: every_score(unseen.codes, unseen.factors, CATEGORICAL))
    published, published_s = _timed(lambda: published_scores(known, unseen, widths, rounds).scores)
    return {
        "kind": kind,
        "quick": quick,
        "quick_s": round(quick_s, 1),
        "published": published,
        "published_s": round(published_s, 1),
        "disentanglement_lib": theirs(known, unseen) if rounds == BOOSTED else None,
    }


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    began = time.perf_counter()
    return work(), time.perf_counter() - began


def main(
    points: Annotated[int, typer.Option(min=500, help="Points to learn from.")] = KNOWN,
    rounds: Annotated[int, typer.Option(min=1, help="Of boosting.")] = BOOSTED,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Score constructed codes, and print what every score says of each kind."""
    found = []
    for kind in KINDS:
        found.append(scored(kind, points, rounds))
        print(f"{kind}: {found[-1]['published_s']} s", file=sys.stderr, flush=True)
    if as_json:
        print(json.dumps({"points": points, "rounds": rounds, "kinds": found}, indent=2))
        return
    for part in ("quick", "published", "disentanglement_lib"):
        if found[0][part] is None:
            continue
        print(f"{part:24}" + "".join(f"{kind:>10}" for kind in KINDS))
        for name in found[0][part]:
            print(f"{name:24}" + "".join(f"{each[part][name]:10.3f}" for each in found))


if __name__ == "__main__":
    typer.run(main)
