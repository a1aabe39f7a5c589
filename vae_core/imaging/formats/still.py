"""Files of one picture: JPEG and whatever else pillow reads safely."""

from __future__ import annotations

from vae_core.imaging.kinds import Format, formats
from vae_core.imaging.pillow import PillowFile

formats.add(
    Format(
        name="still",
        label="JPEG",
        blurb="One picture a file. Several sizes in an icon: the largest; layers: what they show.",
        endings=(
            ".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".j2k", ".jpc", ".jpf", ".jpx", ".j2c",
            ".bmp", ".dib", ".pgm", ".ppm", ".pbm", ".pnm", ".pfm", ".tga", ".pcx", ".sgi", ".rgb",
            ".rgba", ".bw", ".ras", ".qoi", ".dds", ".ico", ".icns", ".psd", ".xbm", ".xpm",
        ),
        library="Pillow",
        pictures="the picture",
        build=PillowFile,
        marks=((0, b"\xff\xd8\xff"), (0, b"\0\0\0\x0cjP  \r\n\x87\n")),
        harmless=True,
        order=10,
    )
)  # fmt: skip
