"""The command line: `fhirbridge ...`."""

from __future__ import annotations

import errno
import os
import sys

import click

from fhirbridge.commands import (
    book_command,
    canary_command,
    client_commands,
    connection_commands,
    consent_commands,
    crosswalk_commands,
    delivery_commands,
    demo,
    export_command,
    hl7_command,
    import_command,
    job_commands,
    listen_command,
    mapping_commands,
    message_commands,
    receipt_commands,
    registry_commands,
    replay_command,
    review_commands,
    serve_command,
    subject_commands,
    sync_commands,
    truth_command,
    validate_command,
    verify_command,
    work_command,
)
from fhirbridge.commands.shared import Workshop, tell_issues
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.settings import Settings


@click.group()
@click.version_option(package_name="fhirbridge")
@click.pass_context
def commands(context: click.Context) -> None:
    """Study records to FHIR R4 and back, synced with hospital FHIR servers."""
    context.obj = Workshop(Settings.from_environment())
    context.call_on_close(context.obj.close)


for command in (
    mapping_commands.check,
    validate_command.validate,
    mapping_commands.encode,
    mapping_commands.decode,
    book_command.book,
    canary_command.site,
    client_commands.client,
    consent_commands.consent,
    crosswalk_commands.crosswalk,
    subject_commands.subject,
    connection_commands.connection,
    message_commands.message,
    import_command.import_,
    export_command.export,
    receipt_commands.receipt,
    registry_commands.quarantine,
    replay_command.replay,
    review_commands.proposal,
    registry_commands.record,
    verify_command.verify,
    serve_command.serve,
    listen_command.feed,
    listen_command.listen,
    hl7_command.hl7,
    work_command.work,
    job_commands.job,
    job_commands.schedule,
    sync_commands.pull,
    sync_commands.deliver,
    delivery_commands.delivery,
    sync_commands.sandbox,
    truth_command.truth,
    demo.demo,
):
    commands.add_command(command)


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
