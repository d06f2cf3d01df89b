"""The next page is fetched while this one is worked off: a hospital's answers take as long as our
own work, and neither waits for the other.

One page ahead and no more: what is held stays small, and a hospital that we leave is asked little
that nobody needed.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Generic, TypeVar

Item = TypeVar("Item")
_TURN = 0.1  # seconds after which a full shelf looks whether anybody still reads


class _End:
    """What comes after the last item: the fault that ended them, if one did."""

    def __init__(self, fault: BaseException | None = None) -> None:
        self.fault = fault


class _Shelf(Generic[Item]):
    def __init__(self, items: Iterable[Item]) -> None:
        self._items = items
        self._made: queue.Queue[Item | _End] = queue.Queue(maxsize=1)
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._fill, name="ahead", daemon=True)

    def _fill(self) -> None:
        end = _End()
        try:
            for item in self._items:
                if not self._put(item):
                    return
        except BaseException as fault:  # noqa: BLE001 - raised again where the items are read
            end = _End(fault)
        self._put(end)

    def _put(self, item: Item | _End) -> bool:
        while not self._left.is_set():
            with suppress(queue.Full):
                self._made.put(item, timeout=_TURN)
                return True
        return False

    def start(self) -> None:
        self._thread.start()

    def leave(self) -> None:
        self._left.set()
        self._thread.join()

    def __iter__(self) -> Iterator[Item]:
        while not isinstance(made := self._made.get(), _End):
            yield made
        if made.fault is not None:
            raise made.fault


def ahead(
    items: Iterable[Item], *, more: Callable[[Item], bool] = lambda _: True
) -> Iterator[Item]:
    """The items in their order, made in a thread of their own, one ahead of who reads them.

    The first is made here; where there is not `more` after it, so are all. What ends them in the
    thread is raised here, after the items before it. Who leaves early ends the thread, when the
    item in the making is there.

    >>> list(ahead(iter("ab")))
    ['a', 'b']
    """
    made = iter(items)
    for first in made:
        if not more(first):
            yield first
            yield from made
            return
        shelf = _Shelf(made)
        shelf.start()
        try:
            yield first
            yield from shelf
        finally:
            shelf.leave()
        return
