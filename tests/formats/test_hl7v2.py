"""HL7 v2 bytes: what divides them, what is escaped, what is null, what is a time. Synthetic."""

from __future__ import annotations

import pytest

from fhirbridge.formats import hl7v2, hl7v2_ack, hl7v2_batch, hl7v2_time, mllp

HEAD = "MSH|^~\\&|EHR|SITEA|||20260301101500||ORU^R01|A1|P|2.5.1"


@pytest.mark.parametrize(
    ("text", "divided", "names"),
    [
        (f"{HEAD}\rPID|1\rOBX|1|FT|||a\nb\r", "CR", ["MSH", "PID", "OBX"]),  # LF is text then
        (f"{HEAD}\nPID|1\nOBX|1\n", "LF", ["MSH", "PID", "OBX"]),
        (f"{HEAD}\r\nPID|1\r\nOBX|1", "CRLF", ["MSH", "PID", "OBX"]),
        (f"{HEAD}\r\nPID|1\rOBX|1\r\n", "CR", ["MSH", "PID", "OBX"]),  # both ways in one message
        (f"\ufeff{HEAD}\r\r\rPID|1\r", "CR", ["MSH", "PID"]),  # a BOM and empty segments
    ],
)
def test_segments_are_divided_as_they_come(text: str, divided: str, names: list[str]) -> None:
    message = hl7v2.parse(text)
    assert message.divided == divided
    assert [segment.name for segment in message.segments] == names


def test_a_line_feed_within_a_text_stays_there() -> None:
    message = hl7v2.parse(f"{HEAD}\rOBX|1|FT|||Zeile eins\nZeile zwei\r")
    assert message.one("OBX").first(5).text == "Zeile eins\nZeile zwei"


def test_the_message_says_what_divides_it() -> None:
    message = hl7v2.parse("MSH#*~\\&#EHR#SITEA\rPID#1##47*11")
    assert message.one("PID").text(3, 2) == "11"
    assert (
        hl7v2.parse("MSH|^~|EHR\rPID|1||a^b&c").one("PID").first(3).part(2, 2) == "c"
    )  # filled up
    assert hl7v2.parse("MSH|^~\\&#|EHR\rPID|1||a^b").one("PID").text(3, 2) == "b"  # five, since 2.7


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("a\\T\\b\\S\\c\\F\\d\\R\\e\\E\\f", "a&b^c|d~e\\f"),
        ("Saal 4\\5 links", "Saal 4\\5 links"),  # no escape: German theatres are called so
        ("4\\5 \\T\\ x", "4\\5 & x"),
        ("a\\.br\\b\\.sp2\\c\\.in5\\d", "a\nb\n\ncd"),
        ("\\X0D0A\\\\XE4\\", "\r\nä"),
        ("\\H\\fett\\N\\ \\Zabc\\ \\C1234\\", "fett \\Zabc\\ \\C1234\\"),
    ],
)
def test_escapes(raw: str, text: str) -> None:
    assert hl7v2.unescape(raw, hl7v2.Marks()) == text


def test_what_is_escaped_divides_nothing() -> None:
    message = hl7v2.parse(f"{HEAD}\rPR1|1||X^Nagel \\S\\ Zement^L")
    assert message.one("PR1").first(3).part(2) == "Nagel ^ Zement"


def test_empty_says_nothing_and_null_takes_away() -> None:
    pid = hl7v2.parse(f'{HEAD}\rPID|1||""^^^A~12^^^B||||19551212|""').one("PID")
    assert [leaf.part(1) for leaf in pid.all(3)] == ["", "12"]
    assert pid.null(8)
    assert not pid.null(9)
    assert pid.text(8) == ""


@pytest.mark.parametrize(
    ("charset", "claim", "codec"),
    [("", "", "utf-8"), ("", "UNICODE UTF-8", "utf-8"), ("", "8859/1", "latin-1"),
     ("ISO-8859-1", "UNICODE UTF-8", "latin-1")],
)  # fmt: skip
def test_the_feed_says_the_charset_else_the_message(charset: str, claim: str, codec: str) -> None:
    text = f"{HEAD}||||||{claim}\rOBX|1|ST|||Gähnen\r"
    assert hl7v2.decode(text.encode(codec), charset=charset).one("OBX").text(5) == "Gähnen"


def test_a_byte_that_is_none_is_told_with_its_place() -> None:
    body = f"{HEAD}||||||UNICODE UTF-8\rOBX|1|ST|||Gähnen\r".encode("latin-1")
    with pytest.raises(hl7v2.CharsetError, match=r"byte E4 at offset \d+"):
        hl7v2.decode(body)
    with pytest.raises(hl7v2.CharsetError, match="'UTF-16'"):
        hl7v2.decode(body, charset="UTF-16")


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("2026", "2026"), ("202603", "2026-03"), ("20260301", "2026-03-01"),
        ("202603010930", "2026-03-01T09:30:00+01:00"), ("20260301093000.25-0500", "2026-03-01T09:30:00.25-05:00"),
        ("20260230", None), ("00000000", None), ("19000101", None), ("heute", None), ("2026030", None), ("202603012561", None),
    ],
)  # fmt: skip
def test_times_keep_their_precision(text: str, when: str | None) -> None:
    assert hl7v2_time.when(text, lambda _: "+01:00") == when


def test_a_day_is_never_moved() -> None:
    assert hl7v2_time.day("19551212000000+1400") == "1955-12-12"


def test_frames_come_in_any_pieces() -> None:
    given = b"\r\n" + mllp.frame(b"MSH|one") + b"x\n" + mllp.frame(b"MSH|two")
    whole, pieces = mllp.Frames(), mllp.Frames()
    told = [*whole.feed(given)]
    assert told == [b"MSH|one", b"MSH|two"]
    assert [m for n in range(len(given)) for m in pieces.feed(given[n : n + 1])] == told
    assert whole.stray == pieces.stray == 1
    assert not whole.within


def test_a_frame_that_grows_too_long_is_given_up_while_it_is_read() -> None:
    frames = mllp.Frames(most=10)
    with pytest.raises(mllp.TooLong):
        [*frames.feed(mllp.START + b"x" * 11)]


def test_a_batch_is_divided_at_its_headers() -> None:
    file = f"FHS|^~\\&\rBHS|^~\\&\r{HEAD}\rPID|1\r{HEAD}\rPID|2\rBTS|2\rFTS|1\r".encode()
    assert [name for name, _ in hl7v2_batch.batch(file)] == [
        "FHS",
        "BHS",
        "MSH",
        "MSH",
        "BTS",
        "FTS",
    ]
    lined = file.replace(b"\r", b"\n")
    assert [name for name, _ in hl7v2_batch.batch(lined)] == [
        "FHS",
        "BHS",
        "MSH",
        "MSH",
        "BTS",
        "FTS",
    ]


@pytest.mark.parametrize(
    ("wish", "good", "codes"),
    [
        ("|", True, ["AA"]), ("|", False, ["AE"]), ("AL|NE", True, ["CA"]), ("AL|AL", True, ["CA", "AA"]),
        ("AL|AL", False, ["CA", "AE"]), ("NE|NE", True, []), ("NE|AL", True, ["AA"]), ("ER|ER", True, []),
        ("AL|", True, ["CA"]), ("|AL", True, ["AA"]), ("SU|ER", False, ["CA", "AE"]),
    ],
)  # fmt: skip
def test_the_sender_says_which_answers_it_wants(wish: str, good: bool, codes: list[str]) -> None:
    body = f"{HEAD}|||{wish}\rPID|1\r".encode()
    told = hl7v2_ack.answers(body, at="2026", id="1", good=good, stored=True, errors=[])
    assert [hl7v2.decode(one).one("MSA").raw(1) for one in told] == codes


def test_an_answer_is_never_answered_and_names_its_message_to_the_letter() -> None:
    ack = b"MSH|^~\\&|A|B|C|D|2026||ACK^R01|Q|P|2.5\rMSA|AA|1\r"
    assert hl7v2_ack.answers(ack, at="", id="", good=True, stored=True, errors=[]) == []
    odd = f"{HEAD.replace('A1', 'A 0001.x')}\r".encode()
    (told,) = hl7v2_ack.answers(odd, at="2026", id="1", good=True, stored=True, errors=[])
    assert b"\rMSA|AA|A 0001.x\r" in told


def test_before_2_5_the_reason_stands_in_msa_3() -> None:
    error = hl7v2_ack.Told("OBX[2]-5", "102", "W", "not a | number")
    old = HEAD.replace("2.5.1", "2.3").encode()
    (told,) = hl7v2_ack.answers(old, at="2026", id="1", good=True, stored=True, errors=[error])
    assert told.endswith(b"\rMSA|AA|A1|OBX[2]-5: not a : number\r")
    (told,) = hl7v2_ack.answers(
        HEAD.encode(), at="2026", id="1", good=True, stored=True, errors=[error]
    )
    assert b"\rERR||OBX^2^5|102^Data type error^HL70357|W||||not a : number\r" in told


@pytest.mark.parametrize(
    "raw",
    ["", "a", "a^b^c", "^^", "a&b^c&d", '""^x^""', "a\\T\\b^c\\S\\d", "a~b", "4\\5^\\F\\", "a&^&b"],
)
def test_all_parts_at_once_are_those_one_by_one(raw: str) -> None:
    leaf = hl7v2.Leaf(raw, hl7v2.Marks(), "OBX[1]-3")
    assert leaf.parts() == [leaf.part(n) for n in range(1, raw.count("^") + 2)]
