"""What several commands need: the opened registry of the settings, and how issues are told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import click

from fhirbridge.library import Library
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.listings import Page
from fhirbridge.registry.opening import open_registry
from fhirbridge.registry.sites import Connection, Site
from fhirbridge.registry.store import Registry
from fhirbridge.registry.unit import Unit
from fhirbridge.servers.client import Server
from fhirbridge.settings import Settings
from fhirbridge.sync import additions
from fhirbridge.sync.hospital import Hospital, server_of


@dataclass
class Workshop:
    """Opened as far as the command needs it."""

    settings: Settings

    @cached_property
    def registry(self) -> Registry:
        return open_registry(self.settings)

    def close(self) -> None:
        if "registry" in vars(self):
            self.registry.close()

    @cached_property
    def library(self) -> Library:
        return Library(self.settings.mappings)

    def site(self, name: str) -> Site:
        with self.registry.read(None) as unit:
            return unit.sites.by_name(name)

    def server(self, connection: Connection) -> Server:
        """Ready to be asked; refuses a wrong URL or secret before anything is sent."""
        return server_of(connection, self.settings)

    def hospital(self, site_name: str, connection_name: str | None) -> Hospital:
        """The site's connection of that name, or its only one."""
        site = self.site(site_name)
        with self.registry.read(site.id) as unit:
            known = unit.connections.all()
            if connection_name is None and len(known) != 1:
                names = ", ".join(one.name for one in known) or "none; add one"
                cause = f"the site {site.name} has {len(known)} connections: {names}"
                raise BridgeError(Issue("value", cause, "name one by --connection"))
            named = unit.connections.by_name(connection_name) if connection_name else known[0]
            mappings = self.mappings(unit, site)
        return Hospital(self.registry, site, named, mappings, self.server(named))

    def hospital_of(self, site: Site, connection: Connection) -> Hospital:
        with self.registry.read(site.id) as unit:
            mappings = self.mappings(unit, site)
        return Hospital(self.registry, site, connection, mappings, self.server(connection))

    def mappings(self, unit: Unit, site: Site) -> MappingSet:
        """Of the site's files, and of the lines that it has added."""
        return additions.mappings(self.library, unit, site.name)


MOST = 500  # rows of a page
pass_workshop = click.make_pass_decorator(Workshop)


def tell_more(page: Page[Any]) -> None:
    """How the next page is asked for, on standard error: what is piped are rows alone."""
    if page.next:
        click.echo(f"there are more: --after {page.next}", err=True)


def tell_issues(issues: Iterable[Issue]) -> None:
    """On standard error, a line each."""
    for issue in issues:
        click.echo(f"{issue.severity}: {issue.sentence()}", err=True)
