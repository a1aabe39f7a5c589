"""ES modules as one script, which a page can hold: browsers load no module from a file on disk.

Each module becomes a function that returns what it exports, those that it imports before it.
Modules are written in the few forms of `import` and `export` that the app's components use; another
one is an error, not a guess.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

IMPORT = re.compile(
    r'^import (?P<names>\{[^}]*\}|\w+) from "(?P<path>\.[^"]+)"(?: with \{[^}]*\})?;$', re.MULTILINE
)
EXPORT = re.compile(
    r"^export (?P<what>(?:async )?function\*?|class|const) (?P<name>\w+)", re.MULTILINE
)
DEFAULT = re.compile(r"^export default function(?= ?\()", re.MULTILINE)
OTHER = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)


def bundled(entry: Path) -> str:
    """The module at `entry` and all that it imports as one script, which calls what `entry` exports
    `entry`.

    Raises:
        ValueError: when a module says something that this cannot read, or two import each other.
    """
    names: dict[Path, str] = {}
    scripts: list[str] = []

    def add(path: Path, above: tuple[Path, ...]) -> str:
        if path in above:
            raise ValueError(f"{path.name} imports itself by way of others")
        if path not in names:
            names[path] = f"m{len(names)}"
            scripts.append(_as_function(path, names[path], lambda each: add(each, (*above, path))))
        return names[path]

    name = add(entry.resolve(), ())
    return "".join(scripts) + f"const entry = {name};\n"


def _as_function(path: Path, name: str, add: Callable[[Path], str]) -> str:
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        return f"const {name} = {json.dumps(json.loads(source))};\n"

    def imported(found: re.Match[str]) -> str:
        names = re.sub(r"(\w+) as (\w+)", r"\1: \2", found["names"])
        return f"const {names} = {add((path.parent / found['path']).resolve())};"

    exports = [found["name"] for found in EXPORT.finditer(source)]
    body = IMPORT.sub(imported, source)
    body = EXPORT.sub(r"\g<what> \g<name>", body)
    body = DEFAULT.sub("const standard = function", body)
    if (other := OTHER.search(body)) is not None:
        raise ValueError(f"{path.name}: {other[0]} cannot be put into one script")
    return f"const {name} = (() => {{\n{body}\nreturn {{ {', '.join(exports)} }};\n}})();\n"
