"""What a forecast says: of each field whether it can be had, from what and how completely; and what
stands in the way, ranked by how much it blocks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

KIND = "forecast"
CAUSES = "causes"
"""How the audit trail calls it, and how many causes block."""


@dataclass(frozen=True, slots=True)
class Having:
    """A field of the study in a sample: `had` of the `of` records (rows, in a table) of its form.
    `waits`: of these a person must accept the value. `why_not` is empty where it can be had."""

    form: str
    field: str
    sources: tuple[str, ...]
    had: int
    of: int
    waits: int
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """Why something is not read: `blocks` entries (rows, in a table) lack it or wait whole. `code`
    is the unknown one; `add` what lets it in, a command or a line of a file each."""

    category: str
    cause: str
    remedy: str
    blocks: int
    places: tuple[str, ...]
    code: str = ""
    add: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Told:
    """`counts` are the fates of the sample's entries; `strangers` the people in it who are not
    enrolled yet; `captured` the fields that the sample's kind cannot carry."""

    site: str
    files: Mapping[str, str]
    counts: Mapping[str, int]
    strangers: int
    notes: Sequence[str]
    fields: Sequence[Having]
    blocks: Sequence[Block]
    captured: int

    @property
    def had(self) -> list[Having]:
        return [one for one in self.fields if not one.why_not]

    @property
    def coverage(self) -> Mapping[str, tuple[int, int]]:
        """By form: the fields that can be had, of those that were looked for."""
        forms = dict.fromkeys(one.form for one in self.fields)
        return {
            form: (
                sum(one.form == form and not one.why_not for one in self.fields),
                sum(one.form == form for one in self.fields),
            )
            for form in forms
        }

    @property
    def complete(self) -> bool:
        """Nothing of the sample waits."""
        return not self.blocks
