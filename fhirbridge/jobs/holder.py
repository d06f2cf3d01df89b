"""Who a worker is: the machine, the process, and when that began, so that a number which the
machine has given to another process is not taken for the same.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path


def me() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{_begun(os.getpid())}"


def gone(holder: str) -> bool:
    """True where it was a process of this machine that is there no more; of other machines nobody
    here can tell.
    """
    host, _, process = holder.rpartition(":")[0].rpartition(":")
    if host != socket.gethostname() or not process.isdigit():
        return False
    return not _lives(int(process)) or _begun(int(process)) != holder.rpartition(":")[2]


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _begun(process: int) -> str:
    """Linux's clock ticks since the machine began; "0" where the system does not tell, or where
    only its death certificate is left (state Z: nobody has waited for it yet).
    """
    try:
        told = Path(f"/proc/{process}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return "0"
    state, *fields = told.rpartition(")")[2].split()  # the name before it may hold anything
    return "0" if state == "Z" else fields[18]
