"""Options of a connection: read from words, kept as what differs, refused with what is right."""

from __future__ import annotations

import pytest

from fhirbridge.options import ConnectionOptions
from fhirbridge.outcome import BridgeError


def test_what_is_kept_is_what_differs() -> None:
    changed = ConnectionOptions().changed({"page_size": "50"})
    assert changed.kept() == {"page_size": 50}
    assert ConnectionOptions.of(changed.kept()) == changed
    assert ConnectionOptions().kept() == {}


def test_all_wrong_options_are_told_at_once() -> None:
    with pytest.raises(BridgeError) as told:
        ConnectionOptions().changed({"page_size": "many", "pages": "1"})
    assert [issue.place for issue in told.value.issues] == ["page_size", "pages"]
    assert "use one of page_size" in told.value.issues[1].remedy
