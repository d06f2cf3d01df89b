"""The page names everything that the mapping has, and is sound HTML that needs nothing else."""

from __future__ import annotations

import itertools
import re
from functools import cache

import pytest

from fhirbridge.book import naming, page
from fhirbridge.book.page import REASONS
from fhirbridge.book.walk_entry import FATES
from fhirbridge.mapping.crosswalk import RELATIONSHIPS
from fhirbridge.study.definition import ABSENT_REASONS
from tests.book import printed
from tests.book.markup import Element, Page
from tests.mapping.files import TEXTS, mappings

STUDY = mappings().study
FIELDS = [(form.name, name) for form in STUDY.forms.values() for name in form.fields]
WALKS = sorted(
    name.removeprefix("crosswalks/").removesuffix(".csv")
    for name in TEXTS
    if name.startswith("crosswalks/") and name != "crosswalks/systems.csv"
)


@cache
def parsed() -> Page:
    return Page(printed.html())


@cache
def by_id() -> dict[str, Element]:
    return {e.attributes["id"]: e for e in parsed().everything() if "id" in e.attributes}


@cache
def section_of(heading: str) -> Element:
    """The section that the heading of that id stands in."""
    found = (e for e in sections() if e.attributes["aria-labelledby"] == heading)
    return next(found)


@cache
def sections() -> list[Element]:
    return parsed().root.all("section")


def squeezed(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("broken", ["<p><b></p></b>", "<div>", "<a href='x' href='y'></a>"])
def test_broken_nesting_is_seen(broken: str) -> None:
    with pytest.raises(ValueError, match=r"closed|twice"):
        Page(broken)


def test_every_id_is_there_once_and_every_internal_link_leads_somewhere() -> None:
    ids = [e.attributes["id"] for e in parsed().everything() if "id" in e.attributes]
    assert len(ids) == len(set(ids))
    targets = [e.attributes["href"] for e in parsed().root.all("a")]
    inside = [target[1:] for target in targets if target.startswith("#")]
    named = [
        e.attributes["aria-labelledby"]
        for e in parsed().everything()
        if "aria-labelledby" in e.attributes
    ]
    assert len(inside) > len(FIELDS)
    assert {*inside, *named} - {*ids} == set()


def test_headings_go_down_one_level_at_a_time_from_one_title() -> None:
    levels = [int(e.tag[1]) for e in parsed().everything() if re.fullmatch("h[1-6]", e.tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(below - above <= 1 for above, below in itertools.pairwise(levels))


def test_every_table_has_a_caption_and_every_heading_cell_its_scope() -> None:
    tables = parsed().root.all("table")
    assert all(table.all("caption")[0].words.strip() for table in tables)
    assert {th.attributes["scope"] for t in tables for th in t.all("th")} == {"col", "row"}
    for table in tables:
        columns = len(table.all("thead")[0].all("th"))
        assert {len(row.all("td")) + 1 for row in table.all("tbody")[0].all("tr")} == {columns}


def test_the_page_loads_nothing() -> None:
    for element in parsed().everything():
        assert element.tag not in ("script", "img", "link", "iframe", "object")
        assert not element.attributes.keys() & {"src", "srcset", "style", "onclick"}
    assert not re.search(r"url\(|@import", parsed().root.all("style")[0].text)


def test_it_bears_study_version_and_the_date_that_was_given() -> None:
    told = squeezed(parsed().root.all("header")[0].words)
    for word in (STUDY.title, STUDY.id, mappings().version, printed.ON):
        assert word in told


@pytest.mark.parametrize("form", STUDY.forms)
def test_a_form_tells_its_title_its_key_and_its_resources(form: str) -> None:
    section = section_of(f"form-{naming.id_of(form)}")
    told = squeezed(section.words)
    assert STUDY.forms[form].title in told
    carriers = section.all("table")[0].words
    assert [m.resource for m in mappings().of_form(form) if m.resource not in carriers] == []
    assert [name for name in STUDY.forms[form].key if f" {name} " not in squeezed(told)] == []


@pytest.mark.parametrize(("form", "name"), FIELDS)
def test_a_field_tells_its_words_and_its_places(form: str, name: str) -> None:
    field = STUDY.forms[form].fields[name]
    told = squeezed(by_id()[naming.id_of("field", form, name)].words)
    wanted = [
        name,
        squeezed(field.meaning),
        *field.choices,
        field.unit,
        *map(str, field.range or ()),
    ]
    wanted += [field.mid.source, str(field.mid.value)] if field.mid else []
    assert [word for word in wanted if word not in told] == []
    assert ("required" in told) == (field.required and name not in STUDY.forms[form].key)
    assert ("may be absent" in told) == (field.absent and name not in STUDY.forms[form].key)
    for mapping, block in mappings().blocks(form):
        for row in block.rows:
            if row.field is field and not row.reads_only:
                assert mapping.resource in told
                assert row.first.path.text in told


@pytest.mark.parametrize("name", STUDY.instruments)
def test_an_instrument_tells_its_licence_there_and_at_its_form(name: str) -> None:
    one = STUDY.instruments[name]
    row = squeezed(by_id()[f"instrument-{naming.id_of(name)}"].words)
    assert squeezed(one.title) in row
    assert squeezed(one.licence) in row
    assert squeezed(parsed().root.words).count(squeezed(one.licence)) >= 2


def test_visits_and_outcomes_are_told() -> None:
    told = squeezed(parsed().root.words)
    assert STUDY.visits is not None
    for name, window in STUDY.visits.schedule.items():
        assert f"{name} {window.target} {window.low} to {window.high}" in told
    links = {e.words.strip() for e in parsed().root.all("a")}
    assert {*STUDY.outcomes.primary, *STUDY.outcomes.secondary} <= links


@pytest.mark.parametrize("name", WALKS)
def test_a_crosswalk_tells_each_line_with_what_happens_to_it(name: str) -> None:
    section = section_of(f"crosswalk-{naming.id_of(name)}")
    fate, shown = "", {}
    for element in section.below:
        if element.tag == "h4":
            fate = element.text.strip()
        for row in element.all("tbody")[0].all("tr") if element.tag == "table" else ():
            shown[row.all("th")[0].words.strip(), element.all("code")[0].text] = (
                fate,
                squeezed(row.words),
            )
    entries = printed.told().walks[name]
    assert len(shown) == len(entries)
    for entry in entries:
        line = entry.line
        told = shown[line.code.replace("+", " + "), line.system]
        assert line.relationship in FATES[told[0]][1]
        assert [
            w for w in (line.display, line.target, line.note) if squeezed(w) not in told[1]
        ] == []


def test_every_crosswalk_is_used_and_every_source_told() -> None:
    assert sorted(printed.told().walks) == WALKS
    assert "nothing yet" not in printed.html()
    text = squeezed(parsed().root.words)
    sources = {e.source for entries in printed.told().walks.values() for e in entries}
    assert [source for source in sources if source not in text] == []


def test_every_relationship_has_its_fate_and_every_reason_its_words() -> None:
    known = [relationship for _, of in FATES.values() for relationship in of]
    assert sorted(known) == sorted(RELATIONSHIPS)
    assert tuple(REASONS) == ABSENT_REASONS


def test_the_reason_why_a_value_waits_is_that_of_the_mapping_file() -> None:
    told = squeezed(by_id()["field-lesion-diagnosed-on"].words)
    assert "Waits for a person: an upper bound" in told
    assert "a person confirms it" in squeezed(by_id()["field-surgery-index"].words)


def test_words_of_the_files_are_never_taken_for_markup() -> None:
    texts = {
        **TEXTS,
        "study.yaml": TEXTS["study.yaml"].replace("Side of the body", "<b>Side</b> & body"),
    }
    made = page.page(printed.of(texts), on=printed.ON)
    assert "&lt;b&gt;Side&lt;/b&gt; &amp; body" in made
    assert "<b>" not in made
