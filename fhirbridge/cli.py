"""The command line: `fhirbridge ...`."""

from __future__ import annotations

import errno
import os
import sys
from importlib import import_module

import click

from fhirbridge.commands.shared import Workshop, tell_issues
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.settings import Settings

_ATTRIBUTES = {"import": "import_"}  # a word of Python
# Each command with the module that has it, so that one starts without what all the others need.
MODULES = {
    "check": "mapping_commands",
    "validate": "validate_command",
    "encode": "mapping_commands",
    "decode": "mapping_commands",
    "book": "book_command",
    "site": "canary_command",  # the last of those that add to it
    "client": "client_commands",
    "consent": "consent_commands",
    "crosswalk": "crosswalk_commands",
    "subject": "subject_commands",
    "connection": "connection_commands",
    "message": "message_commands",
    "import": "import_command",
    "export": "export_command",
    "receipt": "receipt_commands",
    "quarantine": "registry_commands",
    "replay": "replay_command",
    "proposal": "review_commands",
    "record": "registry_commands",
    "verify": "verify_command",
    "serve": "serve_command",
    "feed": "listen_command",
    "listen": "listen_command",
    "hl7": "hl7_command",
    "work": "work_command",
    "job": "job_commands",
    "schedule": "job_commands",
    "pull": "sync_commands",
    "deliver": "sync_commands",
    "delivery": "delivery_commands",
    "sandbox": "sync_commands",
    "truth": "truth_command",
    "demo": "demo",
}


class Commands(click.Group):
    """Every command of MODULES, imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in MODULES:
            return None
        module = import_module(f"fhirbridge.commands.{MODULES[cmd_name]}")
        found: click.Command = getattr(module, _ATTRIBUTES.get(cmd_name, cmd_name))
        return found


@click.group(cls=Commands)
@click.version_option(package_name="fhirbridge")
@click.pass_context
def commands(context: click.Context) -> None:
    """Study records to FHIR R4 and back, synced with hospital FHIR servers."""
    context.obj = Workshop(Settings.from_environment())
    context.call_on_close(context.obj.close)


def main() -> None:
    """Run a command; what cannot go on is told with place, cause and remedy, exit code 1."""
    try:
        commands()
    except BridgeError as fault:
        tell_issues(fault.issues)
        sys.exit(1)
    except OSError as fault:
        if fault.errno != errno.ENOSPC:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else its end fails again
        cause = f"what was made cannot be written: {fault.strerror}"
        tell_issues([Issue("exception", cause, "make room, then run the command again")])
        sys.exit(1)
