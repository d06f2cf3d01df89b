"""What a new site needs before its data comes: a list of steps, each done, open or not needed by
what the registry and the mappings hold now. Nothing is stored but what the steps themselves make.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from fhirbridge.mapping.spec import MappingSet
from fhirbridge.registry.audit import Event
from fhirbridge.registry.feeds import Feed
from fhirbridge.registry.sites import Client, Connection, Site
from fhirbridge.registry.unit import Unit
from fhirbridge.sync import rehearsed
from fhirbridge.sync.forecast.told import CAUSES
from fhirbridge.sync.forecast.told import KIND as FORECAST

State = Literal["done", "open", "not needed"]
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Step:
    """`told` is what was seen; `next` the commands to type where it is open."""

    name: str
    state: State
    told: str
    next: tuple[str, ...] = ()


@dataclass
class View:
    """What is looked at, each once. `files` are the site's own below `mappings/sites`."""

    unit: Unit
    site: Site
    mappings: MappingSet
    files: frozenset[str]

    @cached_property
    def clients(self) -> list[Client]:
        return [one for one in self.unit.clients.all() if one.revoked_at is None]

    @cached_property
    def feeds(self) -> list[Feed]:
        return self.unit.feeds.all()

    @cached_property
    def connections(self) -> list[Connection]:
        return self.unit.connections.all()

    @cached_property
    def tables(self) -> list[str]:
        """The forms of tables that were uploaded."""
        return sorted({one.form for one in self.unit.uploads.all()})

    @cached_property
    def trail(self) -> list[Event]:
        """The rehearsals of the site."""
        found: list[Event] = []
        after = 0
        while events := self.unit.trail.events(after=after, limit=_PAGE):
            found += [one for one in events if one.event == rehearsed.EVENT]
            after = events[-1].seq
        return found

    @property
    def real(self) -> list[str]:
        """The ways in that are meant to stay."""
        ways = [f"client {one.name}" for one in self.clients if not one.rehearsal]
        ways += [f"feed {one.name}" for one in self.feeds if not one.rehearsal]
        ways += [f"connection {one.name}" for one in self.connections]
        return ways

    @property
    def trials(self) -> list[str]:
        """The senders whose messages are thrown away, as the trail calls them."""
        ways = [f"client:{one.name}" for one in self.clients if one.rehearsal]
        return ways + [one.source for one in self.feeds if one.rehearsal]

    def of_site(self, command: str) -> str:
        return f"fhirbridge {command} --site {self.site.name}"


def steps(view: View) -> list[Step]:
    """In the order in which they are taken."""
    return [step(view) for step in STEPS]


def _policies(view: View) -> Step:
    site = view.site
    told = f"whom nobody enrolled: {site.unmatched}; what allows to read: {site.consent}"
    return Step("policies", "done", told)


def _people(view: View) -> Step:
    people = view.unit.subjects.all()
    if people:
        return Step("people", "done", f"{len(people)} are enrolled")
    if view.site.unmatched == "enrol":
        return Step("people", "not needed", "who comes with a study id is enrolled")
    command = view.of_site("subject enrol STUDY_ID --identifier 'SYSTEM|NUMBER'")
    return Step("people", "open", "nobody is enrolled, so everything would wait", (command,))


def _ways(view: View) -> Step:
    if view.real:
        return Step("ways in", "done", ", ".join(view.real))
    if view.tables:
        return Step("ways in", "done", f"tables of {', '.join(view.tables)}")
    return Step(
        "ways in",
        "open",
        "nothing can come: there is no client, feed or connection, and no table was uploaded",
        (
            view.of_site("client add engine"),
            view.of_site("feed add engine --port 2575"),
            view.of_site("connection add hospital https://HOSPITAL/fhir"),
            view.of_site("site template assessment -o assessment.xlsx"),
        ),
    )


def _identifiers(view: View) -> Step:
    """Which number is meant by which name: HL7 v2 alone sends names in place of systems."""
    if not view.feeds:
        return Step("identifiers", "not needed", "no HL7 v2: systems come with the numbers")
    feed = view.mappings.shapes.feed
    known = {*feed.assigning_authorities.values(), feed.default_authority} - {""}
    if known:
        return Step("identifiers", "done", f"numbers are of {', '.join(sorted(known))}")
    told = f"mappings/sites/{view.site.name}/hl7v2.yaml names no assigning authority"
    write = (
        f"echo 'assigning_authorities: {{ PID_3_4: SYSTEM }}' >> "
        f"mappings/sites/{view.site.name}/hl7v2.yaml"
    )
    return Step("identifiers", "open", told, (write,))


def _codes(view: View) -> Step:
    """Local codes: what waits for one is open, whoever sent it."""
    lines = len(view.unit.crosswalk_lines.active())
    waiting = view.unit.quarantine.waiting_for("unknown-code")
    if waiting:
        return Step(
            "code systems",
            "open",
            f"{waiting} entries wait for a code that no crosswalk lists",
            (
                f"fhirbridge quarantine list --site {view.site.name}",
                view.of_site("crosswalk add CROSSWALK 'SYSTEM|CODE' TARGET --by WHO --reason WHY"),
                f"fhirbridge replay --site {view.site.name} --cause unknown-code",
            ),
        )
    own = sorted(name.rpartition("/")[2] for name in view.files if name.endswith(".csv"))
    told = f"no code waits; {lines} lines were added here, {len(own)} files are the site's"
    return Step("code systems", "done", told)


def _forecast(view: View) -> Step:
    found = [one for one in view.trail if one.entities.get("kind") == FORECAST]
    if not found:
        command = view.of_site("site forecast SAMPLE_FILE")
        return Step("forecast", "open", "no sample was looked at", (command,))
    last = found[-1]
    causes, received = last.entities.get(CAUSES, "0"), last.entities.get("received", "0")
    told = f"a sample of {received} entries on {last.at:%Y-%m-%d}; causes that block: {causes}"
    if causes != "0":
        again = view.of_site("site forecast SAMPLE_FILE")
        return Step("forecast", "open", f"{told}: add what it names, and look again", (again,))
    return Step("forecast", "done", told)


def _rehearsal(view: View) -> Step:
    """A key or feed of rehearsal, and that something came by it."""
    used = sorted({one.actor for one in view.trail} & {*view.trials})
    if used:
        return Step("rehearsal", "done", f"something came by {', '.join(used)}")
    pulls = [one for one in view.real if one.startswith("connection ")]
    if view.real and len(pulls) == len(view.real):
        told = "the site sends nothing: it is pulled, and 'connection check' rehearses that"
        return Step("rehearsal", "not needed", told)
    if view.trials:
        told = f"nothing came yet by {', '.join(view.trials)}: have the site send its sample"
        return Step("rehearsal", "open", told, (f"fhirbridge site onboard {view.site.name}",))
    commands = [view.of_site("client add trial --rehearsal")]
    if view.feeds:
        commands.append(view.of_site("feed add trial --port 2576 --rehearsal"))
    return Step("rehearsal", "open", "there is no key or feed of rehearsal", tuple(commands))


def _check(view: View) -> Step:
    if not view.connections:
        return Step("connection check", "not needed", "no server is pulled")
    runs = view.unit.runs
    unseen = [
        one.name
        for one in view.connections
        if not one.learned and not runs.latest(one.id, "pull", state="complete")
    ]
    if not unseen:
        return Step("connection check", "done", "each server was looked at, or pulled from")
    commands = [view.of_site(f"connection check {name}") for name in unseen]
    commands += [f"fhirbridge pull {view.site.name}"]
    told = f"not known what it is, and never pulled: {', '.join(unseen)}"
    return Step("connection check", "open", told, tuple(commands))


STEPS: tuple[Callable[[View], Step], ...] = (
    _policies,
    _ways,
    _identifiers,
    _people,
    _check,
    _codes,
    _forecast,
    _rehearsal,
)


def lines(found: list[Step]) -> Iterator[str]:
    """For a terminal: what is open, and what to type next."""
    for step in found:
        yield f"{step.name}: {step.state}: {step.told}"
        yield from (f"  $ {command}" for command in step.next)
    open_ones = sum(step.state == "open" for step in found)
    yield f"{open_ones} open" if open_ones else "complete"
