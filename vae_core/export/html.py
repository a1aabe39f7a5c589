"""A run as one HTML file: the app's explorer, with the decoder running in the browser.

It opens by double click, offline: nothing is loaded, and a policy in its head lets nothing be. What
a run says of itself is somebody else's text: it stands in the file as JSON, in which no `<` can end
the element that holds it, and comes onto the page as text.
"""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import tomllib
from typing import Any

import numpy as np
import torch
from PIL import Image

from vae_core.errors import UserError
from vae_core.export.bundle import bundled
from vae_core.export.networks import try_inputs
from vae_core.export.source import Export, Source, formats
from vae_core.export.translated import halves_suffice, translated
from vae_core.families import families
from vae_core.imaging.png import tile, to_png
from vae_core.latent.directions import (
    Directions,
    load_directions,
    principal_directions,
    prior_axes,
)
from vae_core.latent.encodings import COLUMNS, Encodings, load_encodings
from vae_core.latent.explored import (
    conditions_told,
    dial_told,
    directions_told,
    encoded,
    images_told,
    plane_told,
)
from vae_core.latent.region import Region
from vae_core.locations import APP, COMPONENTS
from vae_core.models import LatentModel
from vae_core.runs import Run
from vae_core.runs.layout import ENCODINGS

SHOWN = 8
"""Sliders at first, as in the app."""

MOST_IMAGES = 3000
MOST_NUMBERS = 400_000
"""Of each of encodings, directions and draws: larger ones are thinned out."""

MOST_ATLAS = 1_000_000
"""Bytes of a lossless picture of thumbnails; a larger one is kept as WebP."""

MOST_DRAWS = 256
MOST_BYTES = 64_000_000
"""Of weights: beyond it a browser takes seconds to open the page."""

CHECKED = 32
"""Pictures that are looked at before weights are rounded."""

TOO_FINE = "How likely the prior makes a point is not told here: this prior has too many parts."

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
<style>
{styles}</style>
</head>
<body>
<noscript>This page computes its pictures itself, which takes JavaScript.</noscript>
<script type="application/json" id="run">{data}</script>
<script type="text/plain" id="worker">{worker}</script>
<script type="module">{script}</script>
</body>
</html>
"""

POLICY = (
    "default-src 'none'; script-src '{script}'; worker-src blob:; img-src data: blob:; "
    "style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
)

START = """
const text = (id) => document.getElementById(id).textContent;
const code = new Blob([text("worker")], { type: "text/javascript" });
const worker = new Worker(URL.createObjectURL(code));
entry.openPage(JSON.parse(text("run")), document.body, worker);
"""

LISTEN = "entry.listen(self);\n"


@formats.register(
    "html",
    label="HTML file",
    blurb="The explorer as one page that decodes by itself, offline; for a mail or a phone.",
    order=45,
)
def page(source: Source) -> Export:
    """RUN.html: the explorer with its decoder.

    Raises:
        UserError: naming what a browser cannot compute, or when the file would be too large.
    """
    source.progress("Translating the decoder", 0.1)
    data = page_data(source)
    source.progress("Writing the page", 0.9)
    script = _in_script(bundled(COMPONENTS / "page" / "page.js") + START)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    text = PAGE.format(
        policy=POLICY.format(script=f"sha256-{digest}"),
        title=html.escape(source.run.id),
        styles=_styles(),
        data=json.dumps(data, allow_nan=False).replace("<", "\\u003c"),
        worker=_in_script(bundled(COMPONENTS / "page" / "worker.js") + LISTEN),
        script=script,
    )
    kind = "float16" if data["model"]["half"] else "float32"
    note = f"Opens by double click, offline; weights as {kind}."
    return Export({"page.html": text.encode()}, note)


def page_data(source: Source) -> dict[str, Any]:
    """What the page is told, as plain JSON: the explorer's data and the model; see `page.js`.

    Raises:
        UserError: as `page`.
    """
    loaded, run = source.loaded, source.run
    model, card = loaded.model, loaded.card
    inputs = try_inputs(model, CHECKED)[1]
    half = halves_suffice(model, inputs)
    program = translated(model, inputs, half)
    size = sum(tensor.nbytes for tensor in program.tensors)
    if size > MOST_BYTES:
        raise UserError(
            f"The decoder of run {run.id!r} has {size / 1e6:.0f} MB of weights, and a page holds "
            f"{MOST_BYTES // 10**6} at most: export it as ONNX instead."
        )
    source.progress("Looking at the encodings", 0.5)
    kept = _kept(run, source.which)
    found, names = _directions(run, kept, model)
    most = max(1, min(len(found.vectors), MOST_NUMBERS // 4 // model.latent_size))
    shares = kept is not None
    family = families[loaded.config.family].label
    channels = 1 if model.image_shape[0] == 1 else 3
    shape = (channels, *model.image_shape[1:])
    region = None if kept is None else _region(kept)
    density, no_density = _density(model)
    explorer: dict[str, Any] = {
        "identity": run.id, "version": "", "called": 0, "run": run.id, "step": loaded.step,
        "mode": "full", "title": "", "linked": False, "shape": shape, "view": None,
        "position": None, "ends": [None, None], "hold_outs": [], "no_density": no_density,
        "unplaced": region is None,
        "directions": directions_told(found, names, most, run.id, shares=shares),
    }  # fmt: skip
    explorer |= conditions_told(model.labels, card.label_names, None) | dial_told(model.dial, None)
    if kept is None:
        explorer |= {"count": 0, "plane": None, "labels": None, "label_names": [], "colors": []}
        explorer |= {"thumbnails": None, "places": None, "group": ""}
    else:
        explorer |= images_told(kept, "", COLUMNS) | {"plane": plane_told(found, names, kept.mu)}
        explorer["names"] = None  # of files on somebody's disk, which this page leaves behind
        explorer["step"] = loaded.step
    drawn = None if density is not None and _standard(model) else _drawn(model)
    explorer["drawn"] = drawn is not None
    return {
        "explorer": explorer,
        "shown": SHOWN,
        "about": f"{family}, {_grouped(card.n_train)} images of {card.dataset}, step "
        f"{_grouped(loaded.step)}. The model runs in this page: it needs no network, and sends "
        "nothing.",
        "note": model.latent_note,
        "model": {
            "program": program.as_json(), "shape": shape, "region": region, "density": density,
            "mu": None if kept is None else encoded(kept.mu), "drawn": drawn, "half": half,
            "atlas": None if kept is None else _atlas(kept.thumbnails),
        },
    }  # fmt: skip


def _grouped(number: int) -> str:
    return f"{number:,}".replace(",", "\u202f")


# --- the latent space -----------------------------------------------------------------------------


def _kept(run: Run, which: str) -> Encodings | None:
    """The encodings that the run keeps of its last weights, as many as a page may hold, evenly
    spread; None where it keeps none."""
    if which != "last" or not run.has(ENCODINGS):
        return None
    kept = load_encodings(run)
    n, size = kept.mu.shape
    if n < 2 or not np.isfinite(kept.mu).all():
        return None
    most = min(n, MOST_IMAGES, max(2, MOST_NUMBERS // size))
    rows = np.linspace(0, n - 1, most).astype(np.int64)
    logvar = None if kept.logvar is None else kept.logvar[rows]
    labels = None if kept.labels is None else kept.labels[rows]
    return Encodings(
        kept.mu[rows], logvar, kept.indices[rows], labels, kept.label_names, kept.thumbnails[rows],
        kept.step,
    )  # fmt: skip


def _directions(
    run: Run, kept: Encodings | None, model: LatentModel
) -> tuple[Directions, list[str]]:
    """The explorer's sliders and their names: principal directions, raw axes without encodings."""
    if kept is None:
        axes = prior_axes(model.latent_size)
        return axes, [f"z{i}" for i in range(len(axes.vectors))]
    found = load_directions(run, kept.step, model.latent_size) or principal_directions(kept.mu)
    return found, [str(i + 1) for i in range(len(found.vectors))]


def _region(kept: Encodings) -> dict[str, Any] | None:
    """What `region.js` reads; None where it takes more numbers than a page may hold."""
    told = Region(kept.mu, kept.logvar).told()
    arrays = [each for each in told.values() if isinstance(each, np.ndarray)]
    if sum(each.size for each in arrays) > MOST_NUMBERS:
        return None
    return {
        name: encoded(each) if isinstance(each, np.ndarray) else each for name, each in told.items()
    }


def _density(model: LatentModel) -> tuple[dict[str, str] | None, str]:
    """The prior as `region.js` reads it, and else the sentence that says why there is none."""
    with torch.no_grad():
        prior = model.prior()
    if prior is None:
        return None, model.no_density
    if 2 * prior.mu.numel() > MOST_NUMBERS:
        return None, TOO_FINE
    mu, logvar = (each.detach().cpu().numpy() for each in (prior.mu, prior.logvar))
    return {"mu": encoded(mu), "logvar": encoded(logvar)}, ""


def _standard(model: LatentModel) -> bool:
    with torch.no_grad():
        prior = model.prior()
    return prior is not None and prior.standard


def _drawn(model: LatentModel) -> dict[str, str]:
    """Draws from a prior that is not N(0, I)."""
    n = max(1, min(MOST_DRAWS, MOST_NUMBERS // 4 // model.latent_size))
    with torch.no_grad():
        draws = model.flatten(model.sample_prior(n, torch.Generator().manual_seed(0)))
    return {"vectors": encoded(draws.cpu().numpy())}


def _atlas(thumbnails: np.ndarray) -> str:
    """All thumbnails as one picture that is its own address."""
    whole = tile(thumbnails, COLUMNS)
    kind, body = "png", to_png(whole, smallest=True)
    if len(body) > MOST_ATLAS:
        buffer = io.BytesIO()
        pixels = whole[0] if len(whole) == 1 else whole.transpose(1, 2, 0)
        Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "WEBP", quality=80)
        kind, body = "webp", buffer.getvalue()
    return f"data:image/{kind};base64,{base64.b64encode(body).decode()}"


# --- the page -------------------------------------------------------------------------------------


def _in_script(text: str) -> str:
    """Our own script, which says nothing that ends the element it stands in."""
    return text.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _styles() -> str:
    """The colours of the app's theme, light and dark, and the styles of its explorer."""
    with (APP / ".streamlit" / "config.toml").open("rb") as file:
        theme = tomllib.load(file)["theme"]
    light, dark = (_variables(theme[kind]) for kind in ("light", "dark"))
    sheets = (
        COMPONENTS / "page" / "page.css",
        COMPONENTS / "shared" / "controls.css",
        COMPONENTS / "explorer" / "explorer.css",
    )
    colours = f":root {{ {light} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"
    return colours + "".join(sheet.read_text(encoding="utf-8") for sheet in sheets)


def _variables(colours: dict[str, str]) -> str:
    """Settings of the theme as Streamlit calls them in style sheets."""
    kebab = {"".join(f"-{c.lower()}" if c.isupper() else c for c in name): value
             for name, value in colours.items()}  # fmt: skip
    return " ".join(f"--st-{name}: {value};" for name, value in kebab.items())
