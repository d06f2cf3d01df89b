"""Row R7: many senders create one person at once, each only if there is none; one of them does."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import requests

from fhirbridge.sandbox import synthetic
from tests.journeys import story
from tests.journeys.bridge import Bridge


def one_is_made(bridge: Bridge, base: str, *, number: int, times: int) -> list[str]:
    """What is wrong; nothing where one is told 201, all others 200, and all of them one resource.

    `number` is of a subject that nobody has sent before. Each body is another one: the same bytes
    would be known again without a look at the condition.
    """
    (body,) = story.bundles_of([synthetic.subject(number)])
    person = json.loads(body)["entry"][0]["resource"]
    asked = f"identifier={synthetic.MRN}|{synthetic.mrn(number)}"
    together = Barrier(times)

    def create(sender: int) -> requests.Response:
        together.wait()
        mine = {**person, "id": f"of-sender-{sender}"}
        return bridge.post(f"{base}/Patient", mine, If_None_Exist=asked)

    with ThreadPoolExecutor(times) as senders:
        answers = [*senders.map(create, range(times))]
    told = Counter(answer.status_code for answer in answers)
    places = {answer.headers.get("Location", "nowhere") for answer in answers}
    if told == {201: 1, 200: times - 1} and len(places) == 1:
        return []
    return [f"{times} conditional creates: {dict(told)} at {sorted(places)}"]
