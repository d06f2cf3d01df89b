"""The kinds of messages: for each, how its bytes become entries.

A kind is a module with the functions of `Kind`. Its name is the first word of `Incoming.kind`, and
all that follows is the same for every kind: whose it is, consent, records, quarantine, receipt.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, Protocol

from fhirbridge.fhir.bundle import Entry
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.registry.messages import Message
from fhirbridge.sync import fhir_messages, ndjson_messages
from fhirbridge.sync.judge import Opened


class Kind(Protocol):
    def parse(self, body: bytes) -> Mapping[str, Any]:
        """The message as plain data. Raises `BridgeError` where the bytes are none of the kind."""
        ...

    def open_message(
        self, made: Mapping[str, Any], *, kind: str, asked: Mapping[str, str], mappings: MappingSet
    ) -> Opened:
        """Its entries, each with its own issues. Raises `BridgeError` where it is refused whole."""
        ...

    def read(self, body: bytes) -> Any:
        """What is kept, as plain data, judged or not; raises `BridgeError` as `parse` does."""
        ...

    def entries(self, made: Any) -> list[Entry]:
        """Of what `read` gave (None: nothing could be read), with whom they speak of."""
        ...

    def cover(self, made: Any) -> bytes:
        """What stands around the entries."""
        ...

    def without(self, message: Message, positions: Collection[int], *, bare: bool) -> Message:
        """The message without these entries, the others where they were; `bare`: without what
        stands around them, too."""
        ...


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        **dict.fromkeys(("push", "put", "message", "page"), fhir_messages),
        "ndjson": ndjson_messages,
    }
)


def of(kind: str) -> Kind:
    """By the kind of a message, such as `push/Bundle`."""
    return KINDS[kind.partition("/")[0]]
