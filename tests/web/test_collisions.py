"""A push that met another one about the same: tried again before it is 503."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from fhirbridge.app import create_app
from fhirbridge.registry.faults import collision
from tests import databases
from tests.web.sender import Sender, score


@pytest.mark.parametrize(("collisions", "status"), [(0, 200), (2, 200), (3, 503)])
def test_a_push_that_collides_is_tried_three_times(
    tmp_path: Path, collisions: int, status: int
) -> None:
    door = Sender.at(create_app(databases.settings(tmp_path)), "alpha")
    door.enrol("S-1", "4711")
    tries: list[int] = []

    def collide(*given: Any) -> None:
        if given[2].startswith("INSERT INTO receipt "):
            tries.append(1)
            if len(tries) <= collisions:
                raise collision()

    event.listen(door.service.registry.engine, "before_cursor_execute", collide)
    assert door.push(score(3)).status_code == status
    assert len(tries) == min(collisions + 1, 3)
    assert len(door.records("assessment")) == (status == 200)
    door.service.registry.close()
