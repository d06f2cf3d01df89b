"""What SQLite's planner is told of the tables, as ANALYZE would after years of use.

Without it, it takes every column for selective, and reads all rows of a site, the first column of
each key, where an index has the few that are wanted. Told once, so that plans stay the same:
https://www.sqlite.org/optoverview.html#manual_control_of_query_plans_using_sqlite_stat_tables
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, Table

from fhirbridge.registry.schema import metadata

_ROWS = 1_000_000  # of any table; nearly all of one site
_FEW = 10  # rows that have the same values of what tells them apart
# Of these there are few different values.
_BLUNT = frozenset(
    ("name", "state", "status", "form", "type", "resource_type", "source", "kind", "system", "low")
)
_TABLE = "sqlite_schema"  # ANALYZE of it makes the statistics' table, and loads what is in it


def tell(connection: Connection) -> None:
    """Of indexes of which nothing is told: an operator's own ANALYZE counts."""
    there = "SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_stat1'"
    if connection.exec_driver_sql(there).first() is None:
        connection.exec_driver_sql(f"ANALYZE {_TABLE}")
    told = connection.exec_driver_sql("SELECT tbl, idx FROM sqlite_stat1")
    known = {(table, index) for table, index in told}
    rows = [
        (table.name, name, stat)
        for table in metadata.sorted_tables
        for name, stat in _indexes(connection, table)
        if (table.name, name) not in known
    ]
    if rows:
        insert = "INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (?, ?, ?)"
        connection.exec_driver_sql(insert, rows)
        connection.exec_driver_sql(f"ANALYZE {_TABLE}")


def _indexes(connection: Connection, table: Table) -> Iterator[tuple[str, str]]:
    listed = connection.exec_driver_sql(f"PRAGMA index_list('{table.name}')").all()
    for _, name, unique, made_by, *_ in listed:
        told = connection.exec_driver_sql(f"PRAGMA index_info('{name}')").all()
        # The rows themselves are the key's index then, and have the table's name in the statistics.
        own = made_by == "pk" and not table.dialect_options["sqlite"]["with_rowid"]
        columns = [row[2] for row in told]
        yield table.name if own else name, _stat(columns, last=1 if unique else _FEW)


def _stat(columns: Sequence[str], *, last: int) -> str:
    """Rows of the table, then those with equal first, first two, ... columns of the index."""
    equal, rows = [], _ROWS
    for column in columns:
        if column != "site_id":
            rows = rows // 10 if column in _BLUNT and rows > _FEW * 10 else min(rows, _FEW)
        equal.append(rows)
    if columns != ["site_id"] and equal:
        equal[-1] = min(equal[-1], last) if last == 1 else equal[-1]
    return " ".join(str(number) for number in (_ROWS, *equal))
