"""The mappings folder on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from fhirbridge import library
from fhirbridge.outcome import BridgeError
from tests.mapping.files import TEXTS


def write(folder: Path, texts: dict[str, str]) -> Path:
    for name, text in texts.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8-sig")
    return folder


def test_texts_come_by_their_names_without_byte_order_mark(tmp_path: Path) -> None:
    folder = write(tmp_path, {**TEXTS, "sites/north/bone.csv": "x\n"})
    (folder / "README.md").write_text("not read", encoding="utf-8")
    assert library.read(folder) == {**TEXTS, "sites/north/bone.csv": "x\n"}


def test_a_running_service_keeps_the_version_that_it_started_with(tmp_path: Path) -> None:
    made = library.Library(write(tmp_path, dict(TEXTS)))
    before = made.of_site("north")
    (tmp_path / "lesion.yaml").write_text("broken: [", encoding="utf-8")
    assert made.of_site("north") is before
    assert made.of_site("south").version == before.version


@pytest.mark.parametrize(
    ("name", "raw", "cause"),
    [
        ("lesion.yaml", b"form: \xff\n", "byte 6 is not UTF-8"),
        ("lesion.yaml", b"#" * (library.MAX_BYTES + 1), "longer than"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, name: str, raw: bytes, cause: str
) -> None:
    (write(tmp_path, dict(TEXTS)) / name).write_bytes(raw)
    with pytest.raises(BridgeError) as told:
        library.read(tmp_path)
    assert cause in told.value.issues[0].cause
    assert told.value.issues[0].place == name


def test_a_folder_that_is_called_like_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "lesion.yaml").mkdir()
    with pytest.raises(BridgeError) as raised:
        library.read(tmp_path)
    (issue,) = raised.value.issues
    assert (issue.place, issue.category) == ("lesion.yaml", "configuration")
    assert "cannot be read" in issue.cause


def test_a_folder_without_a_study_is_no_mappings_folder(tmp_path: Path) -> None:
    with pytest.raises(BridgeError) as told:
        library.read(tmp_path)
    assert "study.yaml" in told.value.issues[0].cause
