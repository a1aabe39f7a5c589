"""A collection of machine parts as an engineer would bring it, drawn with a seed.

Six kinds of parts in folders of their own, 1 200 pictures of two aspect ratios, as two cameras give
them, and a metadata.csv. Some are what is found in any collection: near-copies, parts in the wrong
folder, parts with a fault. Which these are is told by `write`, so that what finds them is measured.
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

PER_KIND = 200
COPIES, MISLABELLED, FAULTY = 20, 10, 15
NEXT_WEEK, FAULTY_NEXT_WEEK = 40, 6

CAMERAS = {"A": (160, 120), "B": (160, 90)}
"""(width, height) of what the camera over each line gives."""

_SCALE = 3
"""Drawn larger by this, so that edges come out smooth."""

_GROUNDS = {"A": (58, 68, 74), "B": (92, 84, 66)}
_METALS = ((176, 180, 186), (150, 152, 150), (196, 176, 120), (184, 122, 86))
"""Steel, cast iron, brass and copper."""


@dataclass
class Truth:
    """Names of what is to be found: each near-copy with its original, each part in the wrong
    folder with the right one, each faulty part with its fault."""

    copies: dict[str, str] = field(default_factory=dict)
    mislabelled: dict[str, str] = field(default_factory=dict)
    faulty: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Bench:
    """What one part is drawn on: a square of side `side` about (0, 0), turned by `angle`."""

    draw: ImageDraw.ImageDraw
    centre: tuple[float, float]
    radius: float
    angle: float
    metal: tuple[int, int, int]
    ground: tuple[int, int, int]

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a place of the part, in units of its radius, lies in the picture."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return (
            self.centre[0] + self.radius * (cos * x - sin * y),
            self.centre[1] + self.radius * (sin * x + cos * y),
        )

    def shape(self, points: list[tuple[float, float]], light: float = 1.0) -> None:
        """A piece of metal with these corners."""
        self.draw.polygon([self.at(*point) for point in points], fill=_lit(self.metal, light))

    def disc(self, x: float, y: float, radius: float, light: float | None = 1.0) -> None:
        """A round piece, or a hole where `light` is None."""
        cx, cy = self.at(x, y)
        r = radius * self.radius
        fill = _lit(self.ground, 0.7) if light is None else _lit(self.metal, light)
        self.draw.ellipse((cx - r, cy - r, cx + r, cy + r), fill=fill)

    def line(self, points: list[tuple[float, float]], width: float, light: float) -> None:
        """A groove or an edge."""
        places = [self.at(*point) for point in points]
        thick = max(1, round(width * self.radius))
        self.draw.line(places, fill=_lit(self.metal, light), width=thick, joint="curve")


def _washer(bench: _Bench, whole: bool) -> None:
    bench.disc(0, 0, 0.85, 0.8)
    bench.disc(0, 0, 0.8)
    if whole:
        bench.disc(0, 0, 0.4, None)


def _nut(bench: _Bench, whole: bool) -> None:
    bench.shape(_polygon(6, 0.9), 0.85)
    bench.disc(0, 0, 0.72, 1.05)
    if whole:
        bench.disc(0, 0, 0.45, None)


def _bolt(bench: _Bench, whole: bool) -> None:
    bench.shape([(-0.3, -0.2), (1.0, -0.2), (1.0, 0.2), (-0.3, 0.2)])
    if whole:
        for x in np.linspace(0.1, 0.95, 9):
            bench.line([(x - 0.04, -0.2), (x + 0.04, 0.2)], 0.035, 0.6)
    bench.shape([(-0.85, -0.42), (-0.3, -0.42), (-0.3, 0.42), (-0.85, 0.42)], 0.9)
    bench.line([(-0.85, -0.14), (-0.3, -0.14)], 0.04, 0.65)
    bench.line([(-0.85, 0.14), (-0.3, 0.14)], 0.04, 0.65)


def _gear(bench: _Bench, whole: bool) -> None:
    teeth = 12
    step = 2 * np.pi / teeth
    for i in range(teeth if whole else teeth - 3):
        corners = [(0.6, -0.3), (0.95, -0.18), (0.95, 0.18), (0.6, 0.3)]
        bench.shape([_polar(r, (i + offset) * step) for r, offset in corners], 0.9)
    bench.disc(0, 0, 0.74, 0.95)
    bench.disc(0, 0, 0.55, 1.08)
    bench.disc(0, 0, 0.2, None)


def _bracket(bench: _Bench, whole: bool) -> None:
    corners = [(-0.9, -0.7), (-0.35, -0.7), (-0.35, 0.2), (0.9, 0.2), (0.9, 0.75), (-0.9, 0.75)]
    bench.shape(corners)
    holes = [(-0.62, -0.4), (-0.62, 0.45), (0.1, 0.48), (0.65, 0.48)]
    for x, y in holes if whole else holes[:2]:
        bench.disc(x, y, 0.13, None)


def _spring(bench: _Bench, whole: bool) -> None:
    x = np.linspace(-0.95, 0.95 if whole else 0.25, 160)
    y = 0.38 * np.sin(2 * np.pi * 5 * x / 1.9)
    points = list(zip(x.tolist(), y.tolist(), strict=True))
    bench.line(points, 0.16, 0.7)
    bench.line(points, 0.08, 1.1)


KINDS: dict[str, Callable[[_Bench, bool], None]] = {
    "bolt": _bolt,
    "bracket": _bracket,
    "gear": _gear,
    "nut": _nut,
    "spring": _spring,
    "washer": _washer,
}
"""What draws each part; False leaves a piece of it out."""

FAULTS = ("scratch", "piece missing", "stain")


def draw_part(
    random: np.random.Generator, kind: str, line: str = "A", fault: str = ""
) -> Image.Image:
    """A part on the ground of its line: place, angle, size, metal and light vary.

    Args:
        fault: one of FAULTS, or "" for a good part.
    """
    width, height = (_SCALE * side for side in CAMERAS[line])
    ground = _GROUNDS[line]
    image = Image.new("RGB", (width, height), ground)
    centre = (width / 2 + random.normal(0, 0.03) * width, height / 2 + random.normal(0, 15))
    radius = height * random.uniform(0.34, 0.42)
    angle = random.uniform(-0.5, 0.5)
    metal = _METALS[int(random.integers(len(_METALS)))]
    shadow = Image.new("RGB", (width, height))
    moved = (centre[0] + 0.05 * radius, centre[1] + 0.08 * radius)
    black = _Bench(ImageDraw.Draw(shadow), moved, radius, angle, (150, 150, 150), (0, 0, 0))
    KINDS[kind](black, fault != "piece missing")
    soft = shadow.filter(ImageFilter.GaussianBlur(radius / 12)).convert("L")
    image.paste((20, 22, 24), mask=soft)
    bench = _Bench(ImageDraw.Draw(image), centre, radius, angle, metal, ground)
    KINDS[kind](bench, fault != "piece missing")
    if fault == "scratch":
        _scratch(random, bench)
    elif fault == "stain":
        x, y = random.uniform(-0.35, 0.35, 2)
        for _ in range(14):
            cx, cy = bench.at(x + random.normal(0, 0.13), y + random.normal(0, 0.13))
            r = radius * random.uniform(0.05, 0.14)
            bench.draw.ellipse((cx - r, cy - r, cx + r, cy + r), fill=(96, 38, 18))
    smooth = image.filter(ImageFilter.GaussianBlur(0.4 * _SCALE))
    pixels = np.asarray(smooth.resize(CAMERAS[line], Image.Resampling.BOX), np.float64)
    across = np.linspace(-1, 1, CAMERAS[line][0])[None, :, None]
    pixels = pixels * random.uniform(0.85, 1.12) + across * random.uniform(-14, 14)
    noisy = pixels + random.normal(0, 2.5, pixels.shape)
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def near_copy(random: np.random.Generator, image: Image.Image) -> Image.Image:
    """The picture as it comes a second time: a little lighter and packed as JPEG."""
    packed = io.BytesIO()
    lighter = ImageEnhance.Brightness(image).enhance(random.uniform(0.97, 1.03))
    lighter.save(packed, "JPEG", quality=88)
    return Image.open(packed).convert("RGB")


def write(folder: Path, per_kind: int = PER_KIND, seed: int = 0) -> Truth:
    """Write the collection below `folder`, with its metadata.csv.

    Args:
        per_kind: parts of each kind. What is to be found scales with it.
    """
    random = np.random.default_rng(seed)
    copies, mislabelled, faulty = (
        max(2, round(per_kind / PER_KIND * count)) for count in (COPIES, MISLABELLED, FAULTY)
    )
    kinds = [kind for kind in KINDS for _ in range(per_kind)]
    order = random.permutation(len(kinds)).tolist()
    copied, wrong, odd, plain = _cut(order, copies, mislabelled, faulty)
    faults = {i: FAULTS[n % len(FAULTS)] for n, i in enumerate(odd)}
    original: dict[int, int] = {}
    for i in copied:
        original[i] = next(j for j in plain if kinds[j] == kinds[i] and j not in original.values())
    truth, rows = Truth(), []
    drawn: dict[int, tuple[str, str, Image.Image]] = {}
    for i in (*plain, *wrong, *odd, *copied):
        kind, line = kinds[i], "AB"[int(random.random() < 0.25)]
        if i in original:
            before, line, picture = drawn[original[i]]
            picture, name = near_copy(random, picture), f"{kind}/{line}-{i:04d}.jpg"
            truth.copies[name] = before
        else:
            picture = draw_part(random, kind, line, faults.get(i, ""))
            name = f"{_other(random, kind) if i in wrong else kind}/{line}-{i:04d}.png"
        if i in original.values():
            drawn[i] = name, line, picture
        if i in wrong:
            truth.mislabelled[name] = kind
        if i in faults:
            truth.faulty[name] = faults[i]
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        picture.save(folder / name)
        rows.append({"file_name": name, **_circumstances(random, line)})
    _write_table(folder / "metadata.csv", sorted(rows, key=lambda row: row["file_name"]))
    return truth


def write_next_week(folder: Path, seed: int = 1) -> Truth:
    """Write pictures of the same parts that no model has seen, some of them faulty."""
    random = np.random.default_rng(seed)
    truth = Truth()
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(NEXT_WEEK):
        kind = list(KINDS)[i % len(KINDS)]
        fault = FAULTS[i % len(FAULTS)] if i < FAULTY_NEXT_WEEK else ""
        line = "AB"[int(random.random() < 0.25)]
        name = f"{line}-{random.integers(10_000):04d}-{i:02d}.png"
        draw_part(random, kind, line, fault).save(folder / name)
        if fault:
            truth.faulty[name] = fault
    return truth


def pack(folder: Path, path: Path) -> Path:
    """The folder as a .zip, as a person sends it."""
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, f"{folder.name}/{file.relative_to(folder).as_posix()}")
    return path


def main(
    folder: Annotated[Path, typer.Argument(help="Where it is written.")],
    per_kind: Annotated[int, typer.Option(help="Parts of each of the six kinds.")] = PER_KIND,
    seed: int = 0,
) -> None:
    """Write parts.zip, the folder next-week and truth.json, which says what is to be found."""
    truth = write(folder / "parts", per_kind, seed)
    after = write_next_week(folder / "next-week", seed + 1)
    pack(folder / "parts", folder / "parts.zip")
    told: Mapping[str, object] = {"parts": asdict(truth), "next-week": asdict(after)}
    (folder / "truth.json").write_text(json.dumps(told, indent=2))
    print(f"{len(KINDS) * per_kind} images in {folder / 'parts.zip'}, {NEXT_WEEK} in next-week")


def _cut(order: list[int], *counts: int) -> Iterator[list[int]]:
    """As many from the beginning as each count says, then the rest."""
    for count in counts:
        yield order[:count]
        order = order[count:]
    yield order


def _circumstances(random: np.random.Generator, line: str) -> dict[str, str]:
    day = date(2026, 3, 2) + timedelta(days=int(random.integers(90)))
    warm = random.normal(21 if line == "A" else 26, 1.8)
    return {"line": line, "temperature": f"{warm:.1f}", "date": day.isoformat()}


def _write_table(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)


def _other(random: np.random.Generator, kind: str) -> str:
    others = [each for each in KINDS if each != kind]
    return others[int(random.integers(len(others)))]


def _scratch(random: np.random.Generator, bench: _Bench) -> None:
    angle, offset = random.uniform(0, np.pi), random.uniform(-0.2, 0.2)
    along, across = _polar(0.75, angle), _polar(offset, angle + np.pi / 2)
    ends = [(sign * along[0] + across[0], sign * along[1] + across[1]) for sign in (-1, 1)]
    bench.draw.line([bench.at(*end) for end in ends], fill=(244, 246, 250), width=3 * _SCALE)
    bench.draw.line([bench.at(*end) for end in ends], fill=(40, 40, 44), width=_SCALE)


def _polygon(corners: int, radius: float) -> list[tuple[float, float]]:
    return [_polar(radius, 2 * np.pi * i / corners) for i in range(corners)]


def _polar(radius: float, angle: float) -> tuple[float, float]:
    return float(radius * np.cos(angle)), float(radius * np.sin(angle))


def _lit(colour: tuple[int, int, int], light: float) -> tuple[int, int, int]:
    red, green, blue = (min(255, round(light * value)) for value in colour)
    return red, green, blue


if __name__ == "__main__":
    typer.run(main)
