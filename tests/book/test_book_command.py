"""`fhirbridge book`, as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fhirbridge.cli import commands
from tests.book import printed
from tests.mapping.files import mappings


def typed(*words: str) -> Result:
    return CliRunner().invoke(commands, ["book", *words])


def test_page_artefacts_and_index_are_written_and_two_runs_are_the_same(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    results = [typed("-o", str(folder), "--date", printed.ON) for folder in folders]
    assert [result.exit_code for result in results] == [0, 0]
    one, two = ({p.name: p.read_bytes() for p in folder.iterdir()} for folder in folders)
    assert one == two
    assert one["book.html"].decode() == printed.html()
    index = json.loads(one["index.json"])
    templates = {f"{form}.csv" for form in mappings().study.forms}
    others = {"book.html", "index.json", *templates}
    assert {entry["file"] for entry in index["artefacts"]} == {*one} - others
    assert templates <= {*one}
    assert one["follow_up.csv"].startswith(b"study_id,seen_on,visit,alive,disease_status,")
    assert (
        f"{len(index['artefacts'])} artefacts of version {mappings().version}" in results[0].output
    )


@pytest.mark.parametrize("date", ["2026-02-30", "2026", "today"])
def test_a_date_that_is_none_is_refused(tmp_path: Path, date: str) -> None:
    result = typed("-o", str(tmp_path / "book"), "--date", date)
    assert result.exit_code == 2
    assert "write YYYY-MM-DD" in result.output
    assert not (tmp_path / "book").exists()


def test_a_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = typed("-o", str(tmp_path / "file" / "book"))
    assert result.exit_code == 1
    assert "the file cannot be written" in str(getattr(result.exception, "issues", ""))


def test_the_site_is_told_on_the_page(tmp_path: Path) -> None:
    assert typed("-o", str(tmp_path), "--site", "north", "--date", printed.ON).exit_code == 0
    assert "<dt>Site</dt><dd>north</dd>" in (tmp_path / "book.html").read_text(encoding="utf-8")
