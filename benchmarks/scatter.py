"""A million points in the scatter of Encodings, in a real browser: opening, moving, turning,
pointing, drawing around. The component itself, its arrays and its routes; no Streamlit around it.

- canvas: as where there is no graphics card: pixels are written, a sample of them while it moves.
- webgl: the shaders, by whatever the machine has; without a card SwiftShader computes them on the
  processor, which the app itself declines. `renderer` says which it was.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
import uvicorn
from playwright.sync_api import sync_playwright
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import Mount, Route

from benchmarks.app import CHROMIUM, free_port
from benchmarks.drag import busy_cores
from latent_workbench.components.scatter import Colouring, scatter_data
from latent_workbench.live.arrays import array_routes
from latent_workbench.live.static import addresses, static_routes

HERE = Path(__file__).parent
SCATTER = HERE.parent / "latent_workbench" / "components" / "scatter"
MEASURE = (HERE / "scatter_page.js").read_text(encoding="utf-8")
MEASURE = MEASURE[MEASURE.index("async") :].rstrip().removesuffix(";")
WITHOUT_A_CARD = [
    *(flag for flag in CHROMIUM if flag != "--disable-gpu"),
    *("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
]
TAKE_ANY = """
const context = HTMLCanvasElement.prototype, parameter = WebGL2RenderingContext.prototype;
const { getContext } = context, { getParameter } = parameter;
context.getContext = function (kind, options) {
  return getContext.call(this, kind, { ...options, failIfMajorPerformanceCaveat: false });
};
parameter.getParameter = function (name) {
  const found = getParameter.call(this, name);
  return typeof found === "string" && !window.unmasked ? "any" : found;
};
"""
RENDERER = """() => {
  window.unmasked = true;
  const gl = document.createElement("canvas").getContext("webgl2");
  const about = gl?.getExtension("WEBGL_debug_renderer_info");
  return about ? gl.getParameter(about.UNMASKED_RENDERER_WEBGL) : "none";
}"""
GROUPS = 40


def cloud(points: int, dimensions: int) -> tuple[np.ndarray, np.ndarray]:
    """Points float32 [N, dimensions] in groups of unlike width, and the group of each."""
    rng = np.random.default_rng(0)
    group = rng.integers(0, GROUPS, points)
    centers, widths = rng.normal(size=(GROUPS, dimensions)) * 2, rng.uniform(0.1, 0.7, GROUPS)
    noise = rng.normal(size=(points, dimensions)) * widths[group, None]
    return (centers[group] + noise).astype(np.float32), group


def application(points: int, dimensions: int) -> Starlette:
    """The page, the component's modules and its numbers."""
    places, group = cloud(points, dimensions)
    away = np.linalg.norm(places, axis=1)
    data = scatter_data(
        places,
        run="none",
        images="benchmark",
        axes="drawn",
        titles=["first", "second", "third"][:dimensions],
        labels=group,
        label_names=[f"group {k}" for k in range(GROUPS)],
        colourings=[Colouring("distance", away, 0.0, float(away.max()))],
    )
    style = (SCATTER / "scatter.css").read_text(encoding="utf-8")
    page = f"""<!doctype html><style>:root {{ --st-text-color: #222; --st-border-color: #ddd;
      --st-background-color: #fff; --st-font: sans-serif }} {style}</style><div id="place"></div>"""

    async def home(request: Request) -> HTMLResponse:
        return HTMLResponse(page)

    async def numbers(request: Request) -> JSONResponse:
        return JSONResponse(data)

    live = Mount("/live", routes=[*static_routes(), *array_routes()])
    return Starlette(routes=[Route("/", home), Route("/data", numbers), live])


@contextmanager
def answering(app: Starlette) -> Iterator[str]:
    """The address of `app`, served by a thread of this process."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, "127.0.0.1", port, log_level="error"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)


def measured(url: str, webgl: bool, moves: int) -> dict[str, Any]:
    """Milliseconds between frames, median and 95th percentile, and of single acts the median."""
    busy = busy_cores()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=WITHOUT_A_CARD if webgl else CHROMIUM
        )
        page = browser.new_page(viewport={"width": 900, "height": 800})
        if webgl:
            page.add_init_script(TAKE_ANY)
        page.goto(url)
        module = "/" + addresses("components/scatter/scatter.js")[0]
        found = page.evaluate(MEASURE, {"module": module, "moves": moves})
        renderer = page.evaluate(RENDERER)
        browser.close()
    result: dict[str, Any] = {"layer": found["layer"], "renderer": renderer, "busy_cores": busy}
    result["opened_ms"] = round(found["opened"])
    for name in ("pan", "zoom", "hover", "turn"):
        if name in found:
            result[f"{name}_frame_ms"] = {
                f"p{p}": round(float(np.percentile(found[name], p)), 1) for p in (50, 95)
            }
    for name in ("lasso", "box"):
        result[f"{name}_ms"] = round(float(np.median(found[name])), 1)
    result["selected"] = found["selected"]
    result["filter_ms"] = round(sum(found["filter"]), 1)
    return result


def main(
    points: Annotated[int, typer.Option(min=1000, help="Points that are shown.")] = 1_000_000,
    moves: Annotated[int, typer.Option(min=10, help="Frames of each movement.")] = 120,
    space: Annotated[bool, typer.Option(help="Measure points in space too.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure the scatter under the hand."""
    result: dict[str, Any] = {"points": points}
    for dimensions in (2, 3) if space else (2,):
        with answering(application(points, dimensions)) as url:
            for name in ("canvas", "webgl"):
                result[f"{name} {dimensions}-D"] = measured(url, name == "webgl", moves)
    result |= {"cores": os.cpu_count(), "machine": platform.machine()}
    print(json.dumps(result, indent=None if as_json else 2, ensure_ascii=False))


if __name__ == "__main__":
    typer.run(main)
