"""A canary: one synthetic message or table that a site sends by its real channel, to see whether
characters, clock and answers come through. It is of nobody, and nothing of it is kept.

What it should hold is written here, so that what came needs nothing beside to be judged.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Literal
from zoneinfo import ZoneInfo

from fhirbridge.formats import hl7v2, hl7v2_time
from fhirbridge.mapping.feed import Feed as Rules
from fhirbridge.sync import hl7v2_resources

State = Literal["ok", "wrong", "not seen"]
NAME = "CANARY"
SAMPLES: Mapping[str, str] = MappingProxyType(
    {"latin": "ÄÖÜäöüß éèñçåø §°", "beyond": "Łőžğ € – ’", "signs": "a|b^c&d~e\\f"}
)
"""What Latin-1 holds; what it has not; what HL7 v2 must escape."""
_CODECS = ("utf-8", "windows-1252", "iso8859-15", "cp850", "mac-roman", "utf-16-le", "utf-16-be")
_WORDS = {"iso8859-15": "8859/15", "windows-1252": "Latin-1 (8859/1 or windows-1252)"}
_CLOCK = 60  # seconds that two clocks may differ
_SOON = 5.0  # seconds; engines send again after that
_SIGNED = re.compile(rf"{NAME}(\d{{14}})")


@dataclass(frozen=True, slots=True)
class Finding:
    """Of characters, clock or answers; cause and remedy where it is wrong."""

    about: str
    state: State
    told: str
    remedy: str = ""

    def line(self) -> str:
        return f"{self.about}: {self.state}: {self.told}" + (
            f" -> {self.remedy}" if self.remedy else ""
        )


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of one message of the feed: `times` that it came, the answers to it."""

    body: bytes
    answers: tuple[bytes, ...]
    seconds: float
    at: datetime
    times: int = 1


def is_canary(body: bytes) -> bool:
    return NAME.encode() in body


def message(now: datetime, rules: Rules, charset: str) -> bytes:
    """An ORU of nobody. Raises `LookupError` for a charset that HL7 v2 has no name for here."""
    codec = hl7v2.CHARSETS[charset.upper()]
    at = f"{now:%Y%m%d%H%M%S}"
    facility, *_ = (*rules.sending_facility, "SITE")
    processing, *_ = (*rules.processing_ids, "P")
    head = rf"MSH|^~\&|{NAME}|{facility}|FHIRBRIDGE|MBDSTUDY|{at}+0000||ORU^R01^ORU_R01"
    rows = [f"{head}|{NAME}{at}|{processing}|2.5.1||||||{charset}"]
    rows += [f"PID|1||{NAME}", f"OBR|1||{NAME}|{NAME}^Canary^L|||{at}+0000"]
    rows += [
        f"OBX|{n}|ST|{name}^^99{NAME}||{_escaped(text)}||||||F"
        for n, (name, text) in enumerate(SAMPLES.items(), start=1)
        if _fits(text, codec)
    ]
    return ("\r".join(rows) + "\r").encode(codec)


def _fits(text: str, codec: str) -> bool:
    try:
        text.encode(codec)
    except UnicodeEncodeError:
        return False
    return True


_ESCAPES = str.maketrans({"\\": r"\E\ "[:3], "|": r"\F\ "[:3], "^": r"\S\ "[:3], "&": r"\T\ "[:3],
                          "~": r"\R\ "[:3]})  # fmt: skip


def _escaped(text: str) -> str:
    return text.translate(_ESCAPES)


def table(now: datetime) -> bytes:
    """A CSV of the same samples, of a number that must keep its zeros, and a decimal."""
    told = io.StringIO()
    writer = csv.writer(told, lineterminator="\r\n")
    writer.writerow(("canary", "value"))
    writer.writerows(_cells(now))
    return b"\xef\xbb\xbf" + told.getvalue().encode()


def _cells(now: datetime) -> Iterator[tuple[str, str]]:
    yield "written", f"{NAME}{now:%Y%m%d%H%M%S}"
    yield from ((name, text) for name, text in SAMPLES.items() if name != "signs")
    yield "zeros", "0004711"
    yield "decimal", "44.10"


def examine(came: Answered, rules: Rules, *, by_file: bool = False) -> list[Finding]:
    """What a canary message shows of the channel by which it came."""
    found = [*_characters(came.body, rules), _clock(came, rules)]
    return found if by_file else [*found, *_answers(came)]


def _characters(body: bytes, rules: Rules) -> Iterator[Finding]:
    try:
        message = hl7v2.decode(body, charset=rules.charset)
    except ValueError as fault:
        yield Finding("characters", "wrong", *_other_codec(body, f"{fault}"))
        return
    texts = {obx.text(3): obx.first(5).part(1) for obx in message.every("OBX")}
    claimed = rules.charset or message.one("MSH").text(18)
    for name, sample in SAMPLES.items():
        if not _fits(sample, hl7v2.CHARSETS[claimed.upper()]):
            yield Finding("characters", "not seen", f"{name}: {claimed} has none of these")
        else:
            yield _compared(name, sample, texts.get(name))


def _compared(name: str, sample: str, text: str | None) -> Finding:
    if text == sample:
        return Finding("characters", "ok", f"{name} came as it was written")
    return Finding("characters", "wrong", *_damage(name, sample, text))


def _damage(name: str, sample: str, text: str | None) -> tuple[str, str]:
    """Cause and remedy of a text that is another one now."""
    if text is None:
        return f"{name} is not there", "let the channel pass all segments and rows on"
    if unicodedata.normalize("NFC", text) == sample:
        return f"{name}: letters and their accents come apart", "send Unicode in the form NFC"
    twice = next((c for c in ("latin-1", "windows-1252") if _again(text, c) == sample), "")
    if twice:
        told = f"{name}: UTF-8 was read as Latin-1 and encoded once more"
        return told, "set the charset where the channel reads: UTF-8"
    if "?" in text or "\ufffd" in text:
        told = f"{name}: characters left as '?'; the sender writes a charset that has not got them"
        return told, "set the sender's output to UTF-8 (HAPI: respect MSH-18)"
    if name == "signs":
        return f"{name}: the escapes were changed", "let the channel not unescape what it passes on"
    told = f"{name}: {len(text)} other characters came for the {len(sample)} that were written"
    return told, "see where the channel changes texts"


def _again(text: str, codec: str) -> str:
    try:
        return text.encode(codec).decode("utf-8")
    except UnicodeError:
        return ""


def _other_codec(body: bytes, fault: str) -> tuple[str, str]:
    """Which charset the bytes have, by the samples that we know."""
    sample = SAMPLES["latin"][:7]  # the umlauts
    codec = next((one for one in _CODECS if sample.encode(one) in body), "")
    if not codec:
        return fault, "set the sender's output to UTF-8"
    name = _WORDS.get(codec, codec.upper())
    word = {"utf-8": "UNICODE UTF-8", "windows-1252": "8859/1"}.get(codec, _WORDS.get(codec, ""))
    remedy = f"'charset: {word}' in the site's hl7v2.yaml, or MSH-18 of the sender"
    return f"the bytes are {name}: {fault}", remedy if word else "set the sender's output to UTF-8"


def _clock(came: Answered, rules: Rules) -> Finding:
    """MSH-7 beside our clock; a whole number of quarters of an hour is a zone and no clock."""
    try:
        head = hl7v2.header(came.body)
    except ValueError:
        return Finding("clock", "not seen", "there is no MSH-7")
    text, signed = head.text(7), _SIGNED.search(head.text(10))
    if signed and text[:14] == signed[1]:
        told = "MSH-7 is still that of the text"
        return Finding("clock", "not seen", told, "let the engine write MSH-7 as it does else")
    zone = ZoneInfo(rules.timezone)
    made = hl7v2_time.when(text, lambda local: hl7v2_resources.offset(zone, local))
    if made is None or "T" not in made:
        return Finding("clock", "wrong", "MSH-7 is no date with a time", "send YYYYMMDDHHMMSS")
    away = datetime.fromisoformat(made) - came.at
    return _away(away, has_zone=bool(re.search(r"[+-]\d{4}$", text)), zone=rules.timezone)


def _away(away: timedelta, *, has_zone: bool, zone: str) -> Finding:
    seconds = away.total_seconds()
    if abs(seconds) <= _CLOCK:
        return Finding("clock", "ok", f"{seconds:+.0f} seconds from ours")
    quarters = round(seconds / 900)
    if quarters and abs(seconds - quarters * 900) <= _CLOCK:
        told = f"MSH-7 is {quarters / 4:+g} hours from ours"
        if has_zone:
            return Finding(
                "clock", "wrong", told, "correct the sender's zone, or the offset it sends"
            )
        remedy = f"'timezone' in the site's hl7v2.yaml is {zone}; or send the offset"
        return Finding("clock", "wrong", f"{told}: another time zone", remedy)
    told = f"MSH-7 is {seconds:+.0f} seconds from ours"
    return Finding("clock", "wrong", told, "let the sender's host and ours keep time (NTP)")


def _answers(came: Answered) -> Iterator[Finding]:
    head = hl7v2.header(came.body)
    if not came.answers:
        told = "no answer was asked for (MSH-15, MSH-16)"
        yield Finding("answers", "not seen", told, "nothing tells the sender that it arrived")
    for answer in came.answers:
        msa = hl7v2.decode(answer).one("MSA")
        code = msa.raw(1)
        if code not in ("AA", "CA"):
            told = f"it is answered {code}: {_reason(answer)}"
            yield Finding("answers", "wrong", told, "see the reference, HL7 v2, Answers")
        elif msa.raw(2) != head.raw(10):
            yield Finding("answers", "wrong", "MSA-2 is not MSH-10", "tell us")
        else:
            yield Finding("answers", "ok", f"{code} with its MSH-10 in {came.seconds:.2f} seconds")
    if came.seconds > _SOON:
        told = f"the answer took {came.seconds:.1f} seconds"
        yield Finding("answers", "wrong", told, "see whether the database is slow or far")
    if came.times > 1:
        told = f"the same message came {came.times} times: its answer was not taken"
        remedy = "let the engine wait 10 seconds, and match MSA-2 with MSH-10 in ACK's own charset"
        yield Finding("answers", "wrong", told, remedy)


def _reason(answer: bytes) -> str:
    error = hl7v2.decode(answer).one("ERR")
    return f"{error.text(3)} at {error.raw(2) or 'the message'}"


def examine_table(rows: Sequence[Sequence[str]], saved: datetime, now: datetime) -> list[Finding]:
    """What a canary table shows that a site's program saved: its cells, and the day of the file."""
    cells = {row[0].strip(): row[1] for row in rows if len(row) > 1}
    found = [_cell(name, told, cells.get(name)) for name, told in _cells(now) if name != "written"]
    signed = _SIGNED.search(cells.get("written", ""))
    written = signed and datetime.strptime(f"{signed[1]}+0000", "%Y%m%d%H%M%S%z")
    if not written:
        return [Finding("clock", "not seen", "the row 'written' is not there"), *found]
    away = (saved - written).total_seconds()
    if saved - now > timedelta(seconds=_CLOCK):
        told = f"the file is dated {(saved - now).total_seconds():.0f} seconds ahead of our clock"
        return [*found, Finding("clock", "wrong", told, "let the site's host keep time (NTP)")]
    if away < -_CLOCK:
        told = f"the file is dated {-away:.0f} seconds before the canary was written"
        return [*found, Finding("clock", "wrong", told, "let the site's host keep time (NTP)")]
    return [*found, Finding("clock", "ok", f"saved {away:.0f} seconds after it was written")]


def _cell(name: str, told: str, text: str | None) -> Finding:
    if name in SAMPLES:
        return _compared(name, told, text)
    if text == told:
        return Finding("values", "ok", f"{name} came as it was written")
    cause = {"zeros": "leading zeros are lost", "decimal": "digits or the decimal mark changed"}
    found = f"{name}: {cause[name]} ({text if text is not None else 'not there'})"
    return Finding("values", "wrong", found, "make the column text before the file is saved")
