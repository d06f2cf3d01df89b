"""The mapping files of this repository as texts, and broken copies of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest

from fhirbridge import library
from fhirbridge.mapping import load
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import BridgeError, Issue

FOLDER = Path(__file__).resolve().parents[2] / "mappings"
TEXTS: Mapping[str, str] = library.read(FOLDER)


@cache
def mappings(site: str = "") -> MappingSet:
    return load.load(TEXTS, site=site)


def edited(*edits: tuple[str, str, str]) -> dict[str, str]:
    """The texts with (file, old, new) replaced once; an edit that changes nothing is an error."""
    texts = dict(TEXTS)
    for name, old, new in edits:
        assert texts.get(name, "").count(old) >= (1 if old else 0), f"{name} has no '{old}'"
        texts[name] = texts.get(name, "").replace(old, new, 1) if old else new
    return texts


def line_of(texts: Mapping[str, str], name: str, word: str) -> str:
    """`file:line` of the first line with the word."""
    before, found, _ = texts[name].partition(word)
    assert found, f"{name} has no '{word}'"
    return f"{name}:{before.count(chr(10)) + 1}"


def faults(texts: Mapping[str, str], *, site: str = "") -> tuple[Issue, ...]:
    """Every fault that keeps the texts from being loaded."""
    with pytest.raises(BridgeError) as told:
        load.load(texts, site=site)
    return told.value.issues
