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
_ACTIVE = ("javascript:", "vbscript:")
_CELLS = frozenset(("td", "th"))
_ROWS = frozenset(("tr", "thead", "tfoot"))
_BY_TAG = {
    "a": _ATTRIBUTES | frozenset(_LINK_NAMES.split()),
    "blockquote": _ATTRIBUTES | frozenset(("cite",)),
    "img": _ATTRIBUTES | frozenset(("src", "alt", "height", "longdesc", "ismap", "usemap")),
    "q": _ATTRIBUTES | frozenset(("cite",)),
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
    return not reader.refused and reader.content and reader.anchors <= reader.names


class _Reader:
    """What one pass over the XHTML has seen."""

    __slots__ = ("anchors", "cdata", "content", "names", "open", "parser", "refused")

    def __init__(self) -> None:
        self.parser = expat.ParserCreate("utf-8")
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.StartCdataSectionHandler = self._cdata
        self.parser.EndCdataSectionHandler = self._no_cdata
        self.cdata = False  # in a section, which no reader shows
        self.refused = False
        self.content = False
        self.open: list[str] = [""]
        self.names: set[str] = set()
        self.anchors: set[str] = set()  # of images, which are to be in the div itself

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        above = self.open[-1]
        self.open.append(tag)
        if tag not in _TAGS or (tag in _CELLS and above not in _ROWS):
            self.refused = True
        if not above and (tag != "div" or attributes.get("xmlns") != _XHTML):
            self.refused = True
        if tag == "img":
            self.content = True
        if attributes:
            self._attributes(_BY_TAG.get(tag, _ATTRIBUTES), attributes)

    def _end(self, tag: str) -> None:
        self.open.pop()

    def _attributes(self, known: frozenset[str], attributes: dict[str, str]) -> None:
        for name, value in attributes.items():
            if name not in known and not name.startswith("xmlns:"):
                self.refused = True
            elif name == "id":
                self.names.add(value)
            elif name == "src" and value[:1] == "#":
                self.anchors.add(value[1:])
            elif name == "href":
                self.refused |= value.strip().lower().startswith(_ACTIVE)
            elif name == "xmlns":
                self.refused |= value != _XHTML

    def _cdata(self) -> None:
        self.cdata = True

    def _no_cdata(self) -> None:
        self.cdata = False

    def _text(self, text: str) -> None:
        if not self.content and not self.cdata and text.strip(" \t\r\n"):
            self.content = True
