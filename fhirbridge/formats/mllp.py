"""MLLP: one message between 0B and 1C 0D (HL7 v2 Transport Specification, release 1).

Fed with what a socket gave, in whatever pieces; a frame that grows too long is given up while it
is read. Bytes between frames belong to nobody: line ends are skipped, others are counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

START, END, CR = b"\x0b", b"\x1c", b"\r"
MOST = 16 * 1024 * 1024


class TooLong(Exception):
    """A frame is longer than allowed."""


def frame(message: bytes) -> bytes:
    return START + message + END + CR


@dataclass
class Frames:
    """`stray` counts the bytes between frames that are no line ends."""

    most: int = MOST
    stray: int = 0
    _held: bytearray = field(default_factory=bytearray)
    _open: bool = False
    _seen: int = 0  # of what is held, looked through without an end

    @property
    def within(self) -> bool:
        """Whether a frame has begun and not ended."""
        return self._open

    def feed(self, given: bytes) -> Iterator[bytes]:
        """The messages that are complete now. The CR behind FS may come late, or never: FS ends."""
        self._held += given
        while True:
            if not self._open:
                start = self._held.find(START)
                skipped = self._held[: start if start >= 0 else len(self._held)]
                self.stray += len(skipped.strip(b"\r\n"))
                del self._held[: len(skipped)]
                if start < 0:
                    return
                del self._held[:1]
                self._open, self._seen = True, 0
            end = self._held.find(END, self._seen)
            if (end if end >= 0 else len(self._held)) > self.most:
                raise TooLong
            if end < 0:
                self._seen = len(self._held)
                return
            message = bytes(self._held[:end])
            del self._held[: end + 1]
            self._open = False
            yield message
