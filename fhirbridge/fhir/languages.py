"""Is a text a language tag: its form, and its two-letter language.

Follows https://hl7.org/fhir/R4/valueset-languages.html (BCP 47); three letters are taken as given.
"""

from __future__ import annotations

import re

_TAG = re.compile(
    r"""([a-z]{2,3})(?:-[a-z]{4})?(?:-(?:[a-z]{2}|[0-9]{3}))?
    (?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*(?:-[a-wy-z0-9](?:-[a-z0-9]{2,8})+)*
    (?:-x(?:-[a-z0-9]{1,8})+)?""",
    re.VERBOSE | re.IGNORECASE,
)
_TWO_LETTERS = """
    aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy
    da de dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy
    hz ia id ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li
    ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa
    pi pl ps pt qu rm rn ro ru rw sa sc sd se sg sh si sk sl sm sn so sq sr ss st su sv sw ta te tg
    th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu
    in iw ji jw mo sh
"""
_ISO_639_1 = frozenset(_TWO_LETTERS.split())  # the last row: withdrawn, still met


def is_tag(text: str) -> bool:
    """
    >>> is_tag("en-US"), is_tag("de-Latn-DE-1996"), is_tag("tlh"), is_tag("x-none")
    (True, True, True, True)
    >>> is_tag("de_DE"), is_tag("english"), is_tag("xx-nowhere")
    (False, False, False)
    """
    if text[:2].lower() == "x-":
        return len(text) <= 64
    found = _TAG.fullmatch(text)
    return found is not None and (len(found[1]) == 3 or found[1].lower() in _ISO_639_1)
