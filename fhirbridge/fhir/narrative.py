"""Narrative.div: XHTML of FHIR's short list of tags and attributes (txt-1), with content (txt-2).

Follows https://hl7.org/fhir/R4/narrative.html; reads no document type and no sender's entity.
"""

from __future__ import annotations

from xml.parsers import expat

_XHTML = "http://www.w3.org/1999/xhtml"
_TAG_NAMES = """
    a abbr acronym b big blockquote br caption cite code col colgroup dd dfn div dl dt em h1 h2 h3
    h4 h5 h6 hr i img li ol p pre q samp small span strong sub sup table tbody td tfoot th thead tr
    tt ul var
"""
_ATTRIBUTE_NAMES = """
    title style class id lang dir accesskey tabindex span width align valign char charoff abbr axis
    headers scope rowspan colspan cellspacing cellpadding border frame rules summary nowrap xml:lang
    xml:space xmlns
"""
_LINK_NAMES = "charset coords href hreflang name rel rev shape type"
_TAGS = frozenset(_TAG_NAMES.split())
_ATTRIBUTES = frozenset(_ATTRIBUTE_NAMES.split())
_BY_TAG = {
    "a": frozenset(_LINK_NAMES.split()),
    "blockquote": frozenset(("cite",)),
    "img": frozenset(("src", "alt", "height", "longdesc", "ismap", "usemap")),
    "q": frozenset(("cite",)),
}


def allowed(div: str) -> bool:
    """
    >>> allowed('<div xmlns="http://www.w3.org/1999/xhtml">A <b>lesion</b></div>')
    True
    >>> allowed('<div xmlns="http://www.w3.org/1999/xhtml"><script>x</script></div>')
    False
    """
    if "<!DOCTYPE" in div or "<!ENTITY" in div:
        return False
    reader = _Reader()
    try:
        reader.parser.Parse(div.encode("utf-8", "surrogatepass"), True)
    except expat.ExpatError:
        return False
    return not reader.refused and reader.content


class _Reader:
    """What one pass over the XHTML has seen."""

    def __init__(self) -> None:
        self.parser = expat.ParserCreate("utf-8")
        self.parser.StartElementHandler = self._start
        self.parser.CharacterDataHandler = self._text
        self.opened = 0
        self.refused = False
        self.content = False

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if self.opened == 0 and (tag != "div" or attributes.get("xmlns") != _XHTML):
            self.refused = True
        self.opened += 1
        known = _BY_TAG.get(tag, frozenset()) | _ATTRIBUTES
        names = {name for name in attributes if not name.startswith("xmlns:")}
        self.refused |= tag not in _TAGS or not names <= known
        self.refused |= attributes.get("href", "").strip().lower().startswith("javascript:")
        self.content |= tag == "img"

    def _text(self, text: str) -> None:
        self.content |= bool(text.strip(" \t\r\n"))
