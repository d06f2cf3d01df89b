"""What is set of one connection to a hospital: every option, its default and its meaning.

Kept with the connection as JSON. An option is one field here; a wrong name or value is an error
that names the right ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from fhirbridge.outcome import BridgeError, Issue

_TRUTHS = {"yes": True, "true": True, "no": False, "false": False}


def _option(default: Any, meaning: str, *, among: tuple[str, ...] = ()) -> Any:
    return field(default=default, metadata={"meaning": meaning, "among": among})


@dataclass(frozen=True, slots=True)
class ConnectionOptions:
    """The options of one connection."""

    page_size: int = _option(0, "resources a page that is asked for; 0: as the service is set")
    # How the server is reached, and what it is like.
    networks: str = _option(
        "",
        "private networks where the server may stand, in CIDR with commas, as 10.20.0.0/16;"
        " metadata addresses stay refused",
    )
    requests_per_second: float = _option(
        0.0, "requests a second that it is asked at most, by each run; 0: as fast as it answers"
    )
    longest_wait: int = _option(3600, "seconds that are waited at most where it sends Retry-After")
    quirks: str = _option(
        "",
        "the make of the server; empty: as it called itself when it was last checked",
        among=("", "generic", "epic", "oracle", "hapi"),
    )

    # How it is pulled from: docs/reference/pull.md
    pull: str = _option(
        "search",
        "how a pull asks",
        among=("search", "everything", "export-group", "export-patients", "export-system"),
    )
    group: str = _option("", "id of the Group that `export-group` exports")
    searches: str = _option(
        "",
        "what a search of a type says beside the patient, such as"
        " `Observation?category=survey Condition?category=problem-list-item`",
    )
    increments: str = _option(
        "auto",
        "whether a pull asks for what is newer than the last one; auto: where the server lists"
        " `_lastUpdated` for the type",
        among=("auto", "yes", "no"),
    )
    overlap: int = _option(300, "seconds by which an increment begins before the last one's end")
    full_days: int = _option(7, "days after which all is read once more; 0: at every pull")
    deletions: str = _option(
        "ask",
        "how it is known what was deleted there: by asking for what a full pull did not find, or"
        " by the `_history` of each type, too",
        among=("ask", "history"),
    )
    poll_cap: int = _option(300, "seconds that are waited at most before an export is asked again")
    file_hosts: str = _option(
        "", "hosts (`name` or `name:port`, with commas) that files of an export may lie on"
    )

    # What is delivered, and how.
    deliver: str = _option(
        "scores",
        "what is delivered: `scores` (what the mapping marks), `facts` (every form of a patient "
        "that can be taken back), `none`, or forms with commas between",
    )
    reference: str = _option(
        "wait",
        "where what a resource refers to is not there: it waits, or it is sent with an identifier "
        "in place of the reference",
        among=("wait", "identifier"),
    )
    codings: str = _option(
        "all",
        "of a concept that has both: all codings, all but the study's own, or its own alone",
        among=("all", "standard", "local"),
    )
    displays: bool = _option(True, "codings are sent with their display")
    merge: bool = _option(
        True, "an update keeps what others added to a resource of ours; no: it writes ours alone"
    )
    writes: str = _option(
        "declared",
        "whether a write is tried that the CapabilityStatement does not offer",
        among=("declared", "tried"),
    )
    delivery_tries: int = _option(
        12, "failed tries in a row after which a delivery is dead; 0: never"
    )
    take_back: bool = _option(
        False, "what was delivered of who withdraws consent becomes entered-in-error there"
    )
    # Whose certificates are believed.
    ca_file: str = _option(
        "",
        "PEM file, on this machine, of the authority that signs the hospital's certificates;"
        " believed of this connection's servers beside the public authorities",
    )

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Self:
        """From what is kept; an option that this version does not know is an error."""
        return cls().changed({name: str(value) for name, value in kept.items()})

    def changed(self, texts: Mapping[str, str]) -> Self:
        """With these options as somebody wrote them; tells all wrong ones at once."""
        known = {f.name: f for f in fields(self)}
        values = {name: getattr(self, name) for name in known}
        faults: list[Issue] = []
        for name, text in texts.items():
            if name not in known:
                cause, remedy = "there is no such option", f"use one of {', '.join(known)}"
                faults.append(Issue("configuration", cause, remedy, place=name))
                continue
            try:
                values[name] = _read(text, known[name].default, known[name].metadata["among"])
            except ValueError as fault:
                cause = f"'{text}' is no value of it"
                faults.append(Issue("configuration", cause, f"give {fault}", place=name))
        if faults:
            raise BridgeError(*faults)
        return type(self)(**values)

    def kept(self) -> dict[str, Any]:
        """What differs from the defaults, as it is kept."""
        given = {f.name: (getattr(self, f.name), f.default) for f in fields(self)}
        return {name: value for name, (value, default) in given.items() if value != default}


def _read(text: str, default: Any, among: tuple[str, ...]) -> Any:
    """The text in the default's type; the words of a ValueError say what would be right."""
    if isinstance(default, bool):
        if text.lower() not in _TRUTHS:
            raise ValueError("yes or no")
        return _TRUTHS[text.lower()]
    if isinstance(default, int | float):
        try:
            number = type(default)(text)
        except ValueError:
            raise ValueError("a number") from None
        if not number >= 0:
            raise ValueError("a number that is not below 0")
        return number
    if among and text not in among:
        raise ValueError(f"one of {', '.join(among)}")
    return text


def reference() -> str:
    """The options as a Markdown table, for docs/reference/options.md."""
    rows = ["| option | default | meaning |", "|---|---|---|"]
    for f in fields(ConnectionOptions):
        meaning, among = f.metadata["meaning"], f.metadata["among"]
        words = f" ({', '.join(filter(None, among))})" if among else ""
        rows.append(f"| `{f.name}` | {_shown(f.default)} | {meaning}{words} |")
    return "\n".join(rows) + "\n"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if value != "" else "(empty)"
