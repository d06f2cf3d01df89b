"""The only reader of the environment: every FHIRBRIDGE_* variable, its default and its meaning."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from fhirbridge.outcome import BridgeError, Issue

PREFIX = "FHIRBRIDGE_"
_ROOT = Path(__file__).resolve().parent.parent


def _setting(default: Any, meaning: str) -> Any:
    return field(default=default, metadata={"meaning": meaning})


@dataclass(frozen=True, slots=True)
class Settings:
    """The service's settings. A variable that is no field here is an error, not a surprise."""

    data: Path = _setting(Path("data"), "folder of the SQLite database and of the key file")
    database: str = _setting(
        "", "SQLAlchemy URL of the database; empty: registry.db in the data folder"
    )
    key_file: str = _setting(
        "", "file of the vault key, made at first use; empty: vault.key in the data folder"
    )
    mappings: Path = _setting(
        _ROOT / "mappings", "folder of the study definition and the mapping files"
    )
    base_url: str = _setting(
        "", "URL at which others reach this service, without a path; empty: as each request says"
    )
    max_body: int = _setting(10_000_000, "bytes of the largest request body that is read")
    rate: str = _setting(
        "100/second", "requests that are taken of one client, by each worker process; empty: all"
    )
    login_rate: str = _setting(
        "20/minute",
        "failed logins of one address, by each worker process, before 429 takes the place of 401;"
        " empty: no limit",
    )
    request_timeout: int = _setting(
        120, "seconds that a request may take before `serve` ends its worker"
    )
    key_hosts: str = _setting(
        "",
        "hosts at private addresses that JWK Sets of clients may be fetched from, with commas;"
        " named with a port, also by http",
    )
    page_size: int = _setting(100, "resources a page that a pull asks for")
    connect_timeout: float = _setting(5.0, "seconds to wait for a connection to a hospital")
    read_timeout: float = _setting(60.0, "seconds to wait for a hospital's answer")
    max_answer: int = _setting(50_000_000, "bytes of the largest hospital answer that is read")
    retries: int = _setting(
        4, "attempts at a request that a hospital could not serve for the moment"
    )
    networks: str = _setting(
        "",
        "private networks where every hospital's server may stand, in CIDR with commas; for a"
        " rehearsal on one machine 127.0.0.1/32. Of one connection: its option `networks`",
    )
    crash: str = _setting(
        "", "for tests only: point:n, the process ends itself there, as SIGKILL would"
    )

    # Jobs
    broker: str = _setting(
        "", "URL of RabbitMQ (`amqp://...`) or Redis (`redis://...`); empty: `work` needs none"
    )
    lease: int = _setting(
        600, "seconds without a sign of life after which another worker takes over a run"
    )
    sweep: int = _setting(
        60, "seconds after which a job that nobody has taken is told to the broker again"
    )

    # Tables that sites upload
    import_bytes: int = _setting(67_108_864, "bytes of the largest table that is imported")
    import_rows: int = _setting(200_000, "rows of the longest table that is imported")
    import_days: int = _setting(
        7, "days for which the file of a rehearsal is kept that nobody applies"
    )

    @property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{self.data / 'registry.db'}"

    @property
    def vault_key(self) -> Path:
        return Path(self.key_file) if self.key_file else self.data / "vault.key"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read every FHIRBRIDGE_* variable; tell all wrong ones at once."""
        environ = os.environ if environ is None else environ
        known = {PREFIX + f.name.upper(): f for f in fields(cls)}
        values: dict[str, Any] = {}
        faults: list[Issue] = []
        for name, text in environ.items():
            if not name.startswith(PREFIX):
                continue
            if name not in known:
                faults.append(
                    Issue(
                        "configuration",
                        "there is no such setting",
                        f"use one of {', '.join(known)}",
                        place=name,
                    )
                )
                continue
            default: Any = known[name].default
            kind = Path if isinstance(default, Path) else type(default)
            try:
                values[known[name].name] = kind(text)
            except ValueError:
                faults.append(
                    Issue(
                        "configuration",
                        f"'{text}' is no {kind.__name__}",
                        "give a number",
                        place=name,
                    )
                )
        if faults:
            raise BridgeError(*faults)
        return cls(**values)


def reference() -> str:
    """The settings as a Markdown table, for docs/reference/settings.md."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for f in fields(Settings):
        default = (
            "mappings/ of the checkout" if f.name == "mappings" else f"{f.default}" or "(empty)"
        )
        rows.append(f"| `{PREFIX}{f.name.upper()}` | {default} | {f.metadata['meaning']} |")
    return "\n".join(rows) + "\n"
