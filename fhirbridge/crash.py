"""Named points at which a test lets the process die as by SIGKILL, to prove that nothing is lost
there.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, field

from fhirbridge.outcome import BridgeError, Issue

POINTS = (
    "ingest.before-commit",
    "ingest.after-commit",
    "pull.after-page",
    "deliver.after-send",
    "job.after-take",
    "job.before-end",
)


@dataclass
class Crash:
    """`reach(point)` ends the process at the n-th time that `point` is reached; armed by a
    setting.
    """

    setting: str = ""
    reached: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        point, _, times = self.setting.partition(":")
        if self.setting and (point not in POINTS or not times.isdigit()):
            remedy = f"write point:n with one of {', '.join(POINTS)}"
            place = "FHIRBRIDGE_CRASH"
            raise BridgeError(
                Issue("configuration", f"'{self.setting}' is no point", remedy, place=place)
            )

    def reach(self, point: str) -> None:
        self.reached[point] = self.reached.get(point, 0) + 1
        if self.setting == f"{point}:{self.reached[point]}":
            os.kill(os.getpid(), signal.SIGKILL)
