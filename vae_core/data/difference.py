"""In what the images that lie there now differ from those that a run was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

UNKNOWN = (
    "This run was trained before runs kept a list of their images, so which ones it learned from "
    "is not known."
)
ELSEWHERE = "None of the images of this run are here: what is there, {new}, is new to it."


@dataclass(frozen=True)
class Difference:
    """What has come, gone and changed since a run recorded its images.

    images, gone, relabelled: of each part, how many the run recorded, how many of those are no
        longer there, and how many have a label of another name.
    new: images of which the run recorded nothing.
    recorded: False for a run that kept no list, of which nothing else is known.
    """

    images: Mapping[str, int] = field(default_factory=dict)
    gone: Mapping[str, int] = field(default_factory=dict)
    relabelled: Mapping[str, int] = field(default_factory=dict)
    new: int = 0
    recorded: bool = True

    def __bool__(self) -> bool:
        return not self.recorded or any((self.new, *self.gone.values(), *self.relabelled.values()))

    @property
    def elsewhere(self) -> bool:
        """True where not one image of the run is there: it is another data set."""
        return self.recorded and dict(self.gone) == dict(self.images)

    @property
    def sentence(self) -> str:
        """What differs, for a person; "" where nothing does."""
        if not self.recorded:
            return UNKNOWN
        if not self:
            return ""
        if self.elsewhere:
            return ELSEWHERE.format(new=_images(self.new))
        gone, relabelled = sum(self.gone.values()), sum(self.relabelled.values())
        total = _images(sum(self.images.values()))
        changes = [
            f"{gone} of {total} {_verb(gone, 'is', 'are')} gone {_by_part(self.gone)}",
            f"{self.new} {_verb(self.new, 'is', 'are')} new",
            f"{relabelled} {_verb(relabelled, 'has', 'have')} another label "
            f"{_by_part(self.relabelled)}",
        ]
        counted = zip(changes, (gone, self.new, relabelled), strict=True)
        listed = ", ".join(each for each, count in counted if count)
        return f"The images are not those that this run was trained on: {listed}."

    def report(self) -> dict[str, Any]:
        """For a machine, the sentence included."""
        return asdict(self) | {"sentence": self.sentence}


def _by_part(counts: Mapping[str, int]) -> str:
    return f"({', '.join(f'{count} {part}' for part, count in counts.items() if count)})"


def _verb(count: int, one: str, many: str) -> str:
    return one if count == 1 else many


def _images(count: int) -> str:
    return f"{count} image{'' if count == 1 else 's'}"
