"""What a unit knows of the rows that it works on, and what it has not written yet.

Rows are gathered and written together: before the next statement that could ask for them, and at
the latest before the commit. What is known is forgotten as soon as somebody else may have changed
it: nothing here is ever newer or older than the transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Executable, Table

Values = dict[str, Any]
T = TypeVar("T")
_MANY = 500  # SQLite takes 32,766 parameters in a statement, and no planner likes as many


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """One statement for many rows, made once. `order`: parents before children; `exact`: it must
    change as many rows as it is given, or somebody else was there first; `site` is the parameter
    that the site is given by."""

    order: int
    table: Table
    statement: Executable
    exact: bool = True
    site: str = "of_site"


@dataclass(slots=True)
class Gathered:
    """`held` are the subjects whose rows nobody else may change; the rest is by the ids of what it
    is about, None or empty for what is not there."""

    waiting: dict[Way, dict[Any, Values]] = field(default_factory=dict)
    tables: set[Table] = field(default_factory=set)  # of what waits
    held: set[str] = field(default_factory=set)
    origins: dict[tuple[str, str, str], Any] = field(default_factory=dict)
    links: dict[str, set[str]] = field(default_factory=dict)  # records by origin
    records: dict[str, Any] = field(default_factory=dict)
    names: dict[tuple[str, str, str], str | None] = field(default_factory=dict)
    proposals: dict[str, list[Any]] = field(default_factory=dict)  # by record
    resources: dict[str, dict[str, Any]] = field(default_factory=dict)  # by record and block

    def later(self, way: Way, key: Any, values: Values) -> None:
        """A second row of the same key replaces the first."""
        self.waiting.setdefault(way, {})[key] = values
        self.tables.add(way.table)

    def waits(self, way: Way, key: Any) -> Values | None:
        """The row of the key that waits."""
        return self.waiting.get(way, {}).get(key)

    def take(self) -> list[tuple[Way, list[Values]]]:
        """What waits, in the order in which it is written; it waits no more."""
        waiting, self.waiting = self.waiting, {}
        self.tables.clear()
        ways = sorted(waiting, key=lambda way: way.order)
        return [(way, [*waiting[way].values()]) for way in ways]

    def forget(self) -> None:
        """Nothing is known any more; what waits, waits."""
        for known in (self.origins, self.links, self.records, self.names):
            known.clear()
        self.proposals.clear()
        self.resources.clear()

    def drop(self) -> None:
        """What waits was undone with its savepoint, and so may be the locks."""
        self.take()
        self.held.clear()
        self.forget()


def portions(values: Collection[T]) -> Iterator[list[T]]:
    """As many as one statement takes, in order."""
    ordered: list[T] = sorted(values)  # type: ignore[type-var]
    yield from (ordered[at : at + _MANY] for at in range(0, len(ordered), _MANY))
