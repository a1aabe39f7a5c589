"""Collections of images as people bring them, drawn with a seed: no network, no photograph of
anybody. Scenes are cut out of scikit-learn's two photographs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

FACE = (92, 112)
"""(width, height) of the database of faces that was drawn after."""


def draw_face(random: np.random.Generator) -> Image.Image:
    """A face in grey, 92×112: shape, hair, eyes, mouth, glasses, beard, pose and light vary."""
    scale = 3
    width, height = (scale * side for side in FACE)
    ground = int(random.integers(30, 140))
    image = Image.new("L", (width, height), ground)
    draw = ImageDraw.Draw(image)
    skin = int(random.integers(120, 220))
    hair, dark = int(random.integers(10, 110)), int(random.integers(5, 50))
    turn = random.uniform(-0.12, 0.12) * width
    x, y = width / 2 + random.normal(0, 5), height / 2 + random.normal(8, 6)
    half, tall = random.uniform(0.27, 0.36) * width, random.uniform(0.32, 0.4) * height

    def oval(cx: float, cy: float, rx: float, ry: float, fill: int) -> None:
        draw.ellipse((cx - rx, cy - ry, cx + rx, cy + ry), fill=fill)

    draw.rectangle((x - 0.4 * half, y + 0.6 * tall, x + 0.4 * half, height), fill=skin - 25)
    oval(x, height * 1.12, 0.55 * width, 0.22 * height, int(random.integers(20, 230)))
    long_hair = random.random() < 0.4
    oval(x, y - 0.15 * tall, 1.15 * half, (1.25 if long_hair else 1.0) * tall, hair)
    oval(x, y, half, tall, skin)
    fringe = random.uniform(0.1, 0.45)
    draw.pieslice(
        (x - half, y - tall, x + half, y - tall + 2 * tall * (0.5 + fringe / 2)),
        200,
        340,
        fill=hair,
    )
    eye_y, apart = y - random.uniform(0.05, 0.2) * tall, random.uniform(0.36, 0.48) * half
    opened, gaze = random.uniform(0.04, 0.1) * half * 2, random.uniform(-0.05, 0.05) * half
    brow = random.uniform(0.14, 0.24) * tall
    for side in (-1, 1):
        cx = x + turn + side * apart
        oval(cx, eye_y, 0.18 * half, opened, 235)
        oval(cx + gaze, eye_y, 0.08 * half, min(opened, 0.09 * half), dark)
        draw.line(
            (cx - 0.22 * half, eye_y - brow, cx + 0.22 * half, eye_y - brow), fill=hair,
            width=int(random.integers(4, 9)),
        )  # fmt: skip
    draw.line((x + turn, eye_y, x + 1.5 * turn, y + 0.22 * tall), fill=skin - 40, width=6)
    mouth, smile = y + random.uniform(0.42, 0.55) * tall, random.uniform(-0.12, 0.16) * tall
    wide = random.uniform(0.25, 0.45) * half
    corners = (x + turn - wide, mouth - smile), (x + turn, mouth), (x + turn + wide, mouth - smile)
    draw.line(corners, fill=max(0, skin - 80), width=int(random.integers(5, 12)), joint="curve")
    if random.random() < 0.25:
        for side in (-1, 1):
            cx = x + turn + side * apart
            box = (cx - 0.28 * half, eye_y - 0.2 * half, cx + 0.28 * half, eye_y + 0.22 * half)
            draw.ellipse(box, outline=dark, width=5)
    if random.random() < 0.2:
        draw.chord((x - 0.8 * half, y, x + 0.8 * half, y + 1.02 * tall), 20, 160, fill=hair)
    soft = image.filter(ImageFilter.GaussianBlur(1.5 * scale / 2)).resize(
        FACE, Image.Resampling.BOX
    )
    light = np.linspace(-1, 1, FACE[0])[None] * random.uniform(-35, 35)
    pixels = np.asarray(soft, np.float32) + light + random.normal(0, 3, (FACE[1], FACE[0]))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def cut_scene(
    random: np.random.Generator, size: tuple[int, int], which: int | None = None
) -> Image.Image:
    """A piece of one of the two photographs at (width, height) `size`: place, scale, mirroring,
    light and colour vary."""
    photographs = _photographs()
    photograph = photographs[random.integers(len(photographs)) if which is None else which]
    largest = min(photograph.width / size[0], photograph.height / size[1])
    scale = np.exp(random.uniform(np.log(min(1.5, largest)), np.log(largest)))
    width, height = scale * size[0], scale * size[1]
    left = random.uniform(0, photograph.width - width)
    top = random.uniform(0, photograph.height - height)
    box = (left, top, left + width, top + height)
    piece = photograph.resize(size, Image.Resampling.BICUBIC, box)
    pixels = np.asarray(piece, np.float32) * random.uniform(0.75, 1.2, 3) + random.normal(0, 8)
    if random.random() < 0.5:
        pixels = pixels[:, ::-1]
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def draw_shapes(random: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """Coloured discs and boxes on a plain ground."""
    image = Image.new("RGB", size, tuple(int(v) for v in random.integers(150, 256, 3)))
    draw = ImageDraw.Draw(image)
    for _ in range(int(random.integers(2, 5))):
        cx, cy = random.uniform(0, size[0]), random.uniform(0, size[1])
        radius = random.uniform(0.1, 0.3) * min(size)
        colour = tuple(int(v) for v in random.integers(0, 200, 3))
        shape = draw.ellipse if random.random() < 0.5 else draw.rectangle
        shape((cx - radius, cy - radius, cx + radius, cy + radius), fill=colour)
    return image


def faces(random: np.random.Generator, count: int) -> Iterator[tuple[str, Image.Image]]:
    """Grey faces, 92×112, in one folder."""
    for i in range(count):
        yield f"face-{i:04d}.png", draw_face(random)


def small_scenes(random: np.random.Generator, count: int) -> Iterator[tuple[str, Image.Image]]:
    """Coloured scenes of 32×32, in one folder."""
    for i in range(count):
        yield f"scene-{i:05d}.png", cut_scene(random, (32, 32))


def mixed(random: np.random.Generator, count: int) -> Iterator[tuple[str, Image.Image]]:
    """Scenes, shapes and faces of many sizes and aspects, in one folder."""
    for i in range(count):
        size = (int(random.integers(120, 300)), int(random.integers(120, 300)))
        kind = i % 4
        picture = (
            draw_face(random)
            if kind == 0
            else draw_shapes(random, size)
            if kind == 1
            else cut_scene(random, size)
        )
        yield f"img_{i:02d}.png", picture


def four_folders(random: np.random.Generator, count: int) -> Iterator[tuple[str, Image.Image]]:
    """Two kinds of scenes, shapes and faces of 120×90, each in a folder of its own."""
    size = (120, 90)
    kinds: dict[str, Callable[[], Image.Image]] = {
        "temple": lambda: cut_scene(random, size, 0),
        "flower": lambda: cut_scene(random, size, 1),
        "shapes": lambda: draw_shapes(random, size),
        "faces": lambda: draw_face(random).convert("RGB"),
    }
    for i in range(count):
        kind = list(kinds)[i % len(kinds)]
        yield f"{kind}/{i:03d}.png", kinds[kind]()


COLLECTIONS = {
    "faces": (faces, 534),
    "small scenes": (small_scenes, 3000),
    "mixed": (mixed, 48),
    "four folders": (four_folders, 166),
}
"""What draws each, and how many images it has."""


def write(name: str, folder: Path, share: float = 1.0, seed: int = 0) -> int:
    """Write a collection below `folder`, or a share of it; how many images it has."""
    draw, count = COLLECTIONS[name]
    count = max(8, round(share * count))
    for place, image in draw(np.random.default_rng(seed), count):
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
    return count


@cache
def _photographs() -> list[Image.Image]:
    from sklearn.datasets import load_sample_images

    return [Image.fromarray(each) for each in load_sample_images().images]
