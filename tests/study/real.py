"""The study definition of this repository, without its mapping files."""

from __future__ import annotations

from pathlib import Path

from fhirbridge.study import definition

FILE = Path(__file__).resolve().parents[2] / "mappings" / "study.yaml"
TEXT = FILE.read_text(encoding="utf-8")
STUDY = definition.load(TEXT)
