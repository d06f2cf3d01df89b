"""Our judge and HAPI FHIR's own, asked of everything that travels: no difference without a reason."""

from __future__ import annotations

import pytest

from bench.reference import beside_hapi

pytestmark = pytest.mark.hapi


def test_the_two_judges_differ_only_for_the_reasons_that_are_told(hapi_server: str) -> None:
    table, unexplained = beside_hapi.compared(hapi_server)
    assert unexplained == []
    assert table == beside_hapi.TABLE.read_text(encoding="utf-8")
    page = beside_hapi.PAGE.read_text(encoding="utf-8")
    assert table.strip() in page
