"""Narrative.div of the usual kind: XHTML that is surely allowed, told in a fraction of the time.

Says True only where narrative.allowed does; images, comments, rare tags and attributes, deep
nesting and anything odd are left to it (https://hl7.org/fhir/R4/narrative.html).
"""

from __future__ import annotations

import re

_OPENING = re.escape('<div xmlns="http://www.w3.org/1999/xhtml"')
_DEPTH = 8  # of elements in the div
_CONTROL = r"\x00-\x08\x0b\x0c\x0e-\x1f"  # what XML has no character for
_TEXT = rf"[^<&{_CONTROL}]*+"
_WORDS = rf'[^"<&{_CONTROL}]*+"'
_VALUE = rf'="{_WORDS}'
_HREF = rf'href="[a-ik-uw-zA-IK-UW-Z0-9#./]{_WORDS}'  # no j, no v: javascript, vbscript
_OTHER_NAME = "(?:colspan|rowspan|id|align|valign|width|border|lang)"
# One attribute or two, which have different names.
_ATTRIBUTES = (
    rf"(?: (?:title{_VALUE}|class{_VALUE}(?: (?:title|style|id){_VALUE})?+"
    rf"|style{_VALUE}(?: (?:title|class|id){_VALUE})?+"
    rf"|{_OTHER_NAME}{_VALUE}(?: (?:class|style|title){_VALUE})?+)"
    rf"|(?<=<a) (?:{_HREF}|name{_VALUE})(?: (?:title|class|style){_VALUE})?+)?+"
)
_TAG = (
    r"(?:[abip]|t(?:[dhr]|able|body|head)|span|li|ul|ol|h[1-6]|d(?:[dlt]|iv)|blockquote|pre|code|em"
    r"|s(?:trong|mall|u[bp])|caption)"
)
# Elements with text only, of the most frequent kinds: literal patterns take the least time.
_FREQUENT = (
    rf"<(?:b>{_TEXT}</b|td>{_TEXT}</td|p>{_TEXT}</p|li>{_TEXT}</li"
    rf"|span(?: title{_VALUE})?+>{_TEXT}</span|a (?:{_HREF}|name{_VALUE})>{_TEXT}</a)>"
)
_NOT_FREQUENT = r"(?!(?:b|td|p|li|span)>|span title=|a )"
_ENTITY = "&(?:amp|lt|gt|quot|#(?:3[2-9]|[4-9][0-9]|[1-9][0-9][0-9]));"
_SINGLE = rf"<[bh]r ?/>|{_ENTITY}"


def _inner(depth: int) -> str:
    """A frequent leaf, another, an element that holds the same one level deeper, or an entity.

    No text can be read in two of these ways, and a step back fails at once: the time is linear. No
    group that captures is possessive, CPython 3.11 stumbles over those (python/cpython#101955).
    """
    name = f"leaf{depth}"
    leaf = rf"<{_NOT_FREQUENT}(?P<{name}>{_TAG}){_ATTRIBUTES}(?:>{_TEXT}</(?P={name})>|/>)"
    nested = rf"{_element(depth)}|" if depth else ""
    return rf"(?:(?:{_FREQUENT}|{leaf}|{nested}{_SINGLE}){_TEXT})"


def _element(depth: int) -> str:
    """An element that is no leaf."""
    tag, inner = f"t{depth}", _inner(depth - 1)
    return rf"<(?P<{tag}>{_TAG}){_ATTRIBUTES}>{_TEXT}{inner}+</(?P={tag})>"


_usual = re.compile(rf"{_OPENING}{_ATTRIBUTES}>{_TEXT}{_inner(_DEPTH)}*</div>").fullmatch


def _wrapped(tag: str, inner: str) -> str:
    """An element of which the opening `<` is read already, with attributes or none."""
    return rf"{tag}(?:>|{_ATTRIBUTES}>){inner}</{tag}>"


# What HL7's publisher writes, each tag with its own end: no groups, no step back, half the time.
_LEAVES = (
    rf"b>{_TEXT}</b>|span(?: (?:title|style){_VALUE})?+>{_TEXT}</span>"
    rf"|a(?: (?:{_HREF}|name{_VALUE}))?+>{_TEXT}</a>|i>{_TEXT}</i>|code>{_TEXT}</code>|br ?/>"
)
_LINE = rf"{_TEXT}(?:(?:<(?:{_LEAVES})|{_ENTITY}){_TEXT})*+"
_LIST = rf"ul>{_TEXT}(?:<li>{_LINE}</li>{_TEXT})*+</ul>"
_CELL = rf"{_LINE}(?:<(?:{_LIST}|p>{_LINE}</p>){_LINE})*+"
_ROW = _wrapped("tr", rf"{_TEXT}(?:<(?:{_wrapped('td', _CELL)}|{_wrapped('th', _CELL)}){_TEXT})*+")
_ROWS = rf"{_TEXT}(?:<{_ROW}{_TEXT})*+"
_BODY = rf"tbody>{_ROWS}</tbody>|thead>{_ROWS}</thead>"
_TABLE = _wrapped("table", rf"{_ROWS}(?:<(?:{_BODY}){_TEXT})*+")
_PARTS = rf"{_wrapped('p', _LINE)}|{_LEAVES}|{_LIST}|hr ?/>|h3>{_LINE}</h3>|{_TABLE}"
_QUOTE = rf"blockquote>{_TEXT}(?:<(?:{_PARTS}){_TEXT})*+</blockquote>"
_published = re.compile(
    rf"{_OPENING}{_ATTRIBUTES}>"
    rf"{_TEXT}(?:(?:<(?:{_PARTS}|{_QUOTE})|{_ENTITY}){_TEXT})*+</div>"
).fullmatch
# Of an attribute's value a quote would stand before the next tag.
_words = re.compile(r'>[ \t\r\n]*+[^<>&" \t\r\n][^<>"]*+<').search
# First of a row, or beside another: then a row is around it. The second search allows for blanks
# and attributes of the row, and takes longer.
_odd_cell = re.compile(r"<t[dh](?<!<tr><t[dh])(?<!</t[dh]><t[dh])[ />]").search
_stray_cell = re.compile(r"<(?!tr[ >]|/t[dh]>)[^<>]*+>[^<]*+<t[dh][ />]").search


def plainly_allowed(div: str) -> bool:
    return (
        (_published(div) is not None or _usual_with_cells_in_rows(div))
        and _words(div) is not None
        and ("]]" not in div or "]]>" not in div)
        and (div.isascii() or _of_xml_characters(div))
    )


def _usual_with_cells_in_rows(div: str) -> bool:
    return _usual(div) is not None and (_odd_cell(div) is None or _stray_cell(div) is None)


def _of_xml_characters(text: str) -> bool:
    """No half of a surrogate pair, and none of the last two of the plane."""
    try:
        text.encode("latin-1")  # takes a tenth of the time
    except UnicodeEncodeError:
        return _of_xml_characters_beyond(text)
    return True


def _of_xml_characters_beyond(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\ufffe" not in text and "\uffff" not in text
