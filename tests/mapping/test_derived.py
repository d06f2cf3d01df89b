"""Derived ids are UUIDs of version 5, as the library makes them."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from fhirbridge.mapping.derived import derived


@given(st.text(), st.text())
def test_a_derived_id_is_a_uuid_of_version_5(canonical: str, name: str) -> None:
    space = uuid.uuid5(uuid.NAMESPACE_URL, canonical)
    assert derived(canonical, name) == str(uuid.uuid5(space, name))
