"""The benchmarks measure what is asked, or say that they do not."""

from __future__ import annotations

import pytest

from bench.__main__ import main


def test_a_part_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["judgee"]) == 2
    assert "no part judgee; use mapping, judge" in capsys.readouterr().err
