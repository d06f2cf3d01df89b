"""Column types that mean the same on SQLite and on PostgreSQL, and keep every digit of a decimal.

Times are ISO-8601 text in UTC with microseconds and Z, so that text order is time order.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Dialect, Text
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeDecorator, TypeEngine

from fhirbridge.formats import fhir_json
from fhirbridge.outcome import Issue

# A linguistic collation of PostgreSQL skips punctuation when it compares; SQLite compares bytes.
TEXT = Text().with_variant(Text(collation="C"), "postgresql")


def stamp(moment: datetime) -> str:
    """The moment as stored text.

    >>> stamp(datetime(2024, 5, 1, tzinfo=UTC))
    '2024-05-01T00:00:00.000000Z'
    """
    if moment.tzinfo is None:
        raise ValueError("a time without a zone cannot be stored")
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class _Written(TypeDecorator[Any]):
    """Text in the database, something else in Python."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return postgresql.TEXT(collation="C") if dialect.name == "postgresql" else Text()


class Moment(_Written):
    """An aware `datetime`, read back in UTC."""

    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        return None if value is None else stamp(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        return None if value is None else datetime.fromisoformat(value)


class Json(_Written):
    """Any JSON value; None is JSON's null, never SQL's."""

    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str:
        return fhir_json.dump(value).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        if value is None:  # the empty side of an outer join
            return None
        # The parser takes objects only, so the value is read as the one property of an object.
        return fhir_json.parse(b'{"value":%b}' % value.encode())["value"]


class Strings(Json):
    """A tuple of texts."""

    cache_ok = True

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        read = super().process_result_value(value, dialect)
        return None if read is None else tuple(read)


class Issues(Json):
    """A tuple of `Issue`s."""

    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str:
        return super().process_bind_param([issue.as_json() for issue in value], dialect)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        read = super().process_result_value(value, dialect)
        return None if read is None else tuple(_issue(parts) for parts in read)


def _issue(parts: dict[str, Any]) -> Issue:
    return Issue(**{name: value for name, value in parts.items() if name != "code"})


class Choice(_Written):
    """One of a few words; another one is a mistake of the program.

    Held here and not by CHECK: SQLite can widen a CHECK only by rebuilding the table and all that
    points at it.
    """

    cache_ok = True

    def __init__(self, *words: str) -> None:
        super().__init__()
        self.words = words

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value not in self.words:
            raise ValueError(f"not one of {', '.join(self.words)}")
        return value
