"""The words of a mapping file, and what each takes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from fhirbridge.study.definition import near

_LIST = "a list"
_WORD = "a word"
_WORDS = "a list of words"
_ONE_OR_MORE = "a word or a list of words"
_INNER = "words with values"
_FLAG = "true or false"
_ANY = "any value"
_TYPES: Mapping[str, type | tuple[type, ...]] = MappingProxyType(
    {
        _LIST: list,
        _WORDS: list,
        _ONE_OR_MORE: (str, list),
        _WORD: str,
        _INNER: dict,
        _FLAG: bool,
        _ANY: object,
    }
)

SHAPES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "file": dict.fromkeys(("form", "name", "resource", "each", "profile"), _WORD)
        | dict.fromkeys(
            ("recognise", "gate", "where", "besides", "review", "values", "absent"), _INNER
        )
        | dict.fromkeys(("shared", "rows", "groups", "write only", "inside"), _LIST)
        | {
            "deliver": _FLAG,
            "pull": _FLAG,
            "read only": _FLAG,
            "patient": _ONE_OR_MORE,
            "needs": _WORDS,
        },
        "recognise": {"at": _WORD, "by": _WORD, "writes": _WORD, "doubt": _WORDS},
        "gate": {"at": _WORD, "writes": _WORD}
        | dict.fromkeys(("pass", "withdraw", "refuse", "hold"), _WORDS),
        "review": {"at": _WORD, "codes": _WORDS},
        "group": dict.fromkeys(("name", "code", "note", "profile"), _WORD)
        | {"rows": _LIST, "write only": _LIST, "needs": _WORDS, "panel": _FLAG},
        "row": dict.fromkeys(("field", "at", "by", "code", "profile", "note", "unless"), _WORD)
        | {"accepts": _LIST, "from source": _FLAG, "read only": _FLAG},
        "values": {"at": _WORD, "by": _WORD, "accepts": _LIST},
        "reading": dict.fromkeys(("at", "by", "accept", "note", "system"), _WORD),
        "inside": dict.fromkeys(("resource", "items", "code", "system", "own", "patient"), _WORD)
        | {"gate": _INNER, "shared": _LIST, "values": _INNER},
        "write only": {"at": _WORD, "value": _ANY, "note": _WORD, "when": _WORDS},
    }
)


def misfit(kind: str, word: str, value: Any) -> tuple[str, str] | None:
    """Cause and remedy of a word that is not known there, or holds what it does not take."""
    shape = SHAPES[kind]
    if word not in shape:
        return f"'{word}' is not known here", near(word, shape)
    takes = shape[word]
    fits = isinstance(value, _TYPES[takes])
    if takes in (_WORDS, _ONE_OR_MORE) and isinstance(value, list):
        fits = all(isinstance(item, str) for item in value)
    return None if fits else (f"'{word}' takes {takes}", "mend the value")
