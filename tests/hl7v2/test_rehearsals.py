"""A feed of rehearsal: answered over its socket as the real one, and nothing is kept."""

from __future__ import annotations

from dataclasses import replace

from fhirbridge.crash import Crash
from fhirbridge.formats import hl7v2
from fhirbridge.listener.server import Limits, Listener
from fhirbridge.listener.taking import Desk
from tests.hl7v2.test_listener import codes, ids, message
from tests.hl7v2.world import SITE, World
from tests.web.test_rehearsals import only_the_trail_grows


def test_a_feed_of_rehearsal_answers_and_keeps_nothing(here: World) -> None:
    with here.registry.unit(here.site_id) as unit:
        feed = unit.feeds.add("trial", port=2, fingerprint=None, rehearsal=True)
        unit.commit()
    listener = Listener(Desk(here.registry, here.library, Crash()), {feed.site_id: SITE}, Limits())
    trial = replace(here, feed=feed, port=listener.listen("127.0.0.1", 0, lambda _: feed))
    sent = (
        message("R1", 4),
        message("R1", 4),  # again: it was not kept, and the answer is the same
        message("R2", 3, code="XPAIN"),
        message("", 3),
    )
    try:
        with only_the_trail_grows(here.registry, events=len(sent)):
            rehearsed = trial.send(*sent)
    finally:
        listener.stop()
    assert (codes(rehearsed), ids(rehearsed)) == (["AA", "AA", "AA", "AE"], ["R1", "R1", "R2", ""])
    real = here.send(*sent)
    assert [_errors(one) for one in rehearsed] == [_errors(one) for one in real]
    assert _errors(rehearsed[2]) == ["103"]
    with here.registry.read(here.site_id) as unit:
        events = [one for one in unit.trail.events(limit=500) if one.event == "rehearsal"]
    assert {one.actor for one in events} == {"feed:trial"}


def _errors(answer: bytes) -> list[str]:
    return [one.text(3) for one in hl7v2.decode(answer).every("ERR")]
