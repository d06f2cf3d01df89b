"""One item ahead, in order, with the fault that ended them; nobody is left behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from fhirbridge.servers.ahead import ahead


def test_the_next_is_made_while_this_one_is_worked_off() -> None:
    started = [threading.Event() for _ in range(3)]

    def made() -> Iterator[int]:
        for number, event in enumerate(started):
            event.set()
            yield number

    read = ahead(made())
    assert next(read) == 0
    assert started[1].wait(5), "it was not begun before it was asked for"
    assert list(read) == [1, 2]


def test_no_more_than_one_waits_and_one_is_in_the_making() -> None:
    made: list[int] = []

    def counted() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    read = ahead(counted())
    next(read)
    third = threading.Event()
    third.wait(0.3)
    assert len(made) <= 3
    read.close()  # type: ignore[attr-defined]


def test_what_was_made_before_a_fault_is_read_before_it() -> None:
    def broken() -> Iterator[str]:
        yield "page"
        raise ValueError("the server went away")

    read = ahead(broken())
    assert next(read) == "page"
    with pytest.raises(ValueError, match="went away"):
        next(read)


def test_who_leaves_early_leaves_no_thread() -> None:
    before = threading.active_count()
    read = ahead(iter(range(1000)))
    next(read)
    read.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
