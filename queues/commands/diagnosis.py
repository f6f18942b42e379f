"""`queues doctor`: what in a deployment breaks the guarantee."""

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace

from queues.commands.session import Exit, Session
from queues.doctor.application import Application, loaded
from queues.doctor.examination import examined, in_memory
from queues.doctor.finding import Finding, Severity

STYLES = {Severity.BROKEN: "bad", Severity.WARNING: "warning", Severity.NOTE: "strong", Severity.UNSEEN: "strong"}


def doctor(arguments: argparse.Namespace, session: Session) -> int:
    """Examine the Redis of the records, and the application when one is named."""
    application = loaded(arguments.application) if arguments.application else None
    if application is not None and application.redis_url is None:
        findings = in_memory()
    else:
        session = _placed(session, application)
        with session.inspector() as inspector:
            findings = examined(session.redis_url, inspector, application)
    code = _code(findings)
    if session.terminal.is_json:
        rows = [{name: value for name, value in asdict(finding).items() if value} for finding in findings]
        session.terminal.document({"redis": session.place, "exit_status": int(code), "findings": rows})
    else:
        _print(findings, session)
    return code


def _placed(session: Session, application: Application | None) -> Session:
    # The application knows best where its records are.
    if application is None or application.redis_url is None:
        return session
    return replace(session, redis_url=application.redis_url, prefix=application.prefix)


def _code(findings: Sequence[Finding]) -> Exit:
    severities = {finding.severity for finding in findings}
    if Severity.BROKEN in severities:
        return Exit.BROKEN
    return Exit.NOT_FOUND if Severity.WARNING in severities else Exit.DONE


def _print(findings: Sequence[Finding], session: Session) -> None:
    terminal = session.terminal
    terminal.line(f"Records in {session.place}")
    for finding in findings:
        if finding.severity is Severity.GOOD:
            continue
        terminal.line()
        head = terminal.styled(finding.severity.value.upper().ljust(7), STYLES[finding.severity])
        terminal.line(f"{head}  {finding.check}: {finding.seen}")
        for name, text in (("means", finding.means), ("mend", finding.mend)):
            if text:
                terminal.line(f"         {name.ljust(5)}  {text}")
        if finding.severity in (Severity.BROKEN, Severity.WARNING):
            terminal.line(f"         see    README, {finding.see!r}")
    terminal.line()
    for finding in findings:
        if finding.severity is Severity.GOOD:
            terminal.line(f"{terminal.styled('good   ', 'good')}  {finding.check}: {finding.seen}")
    counts = Counter(finding.severity for finding in findings)
    terminal.line()
    terminal.line(", ".join(_counted(severity, counts[severity]) for severity in Severity if counts[severity]))


def _counted(severity: Severity, count: int) -> str:
    is_noun = severity in (Severity.WARNING, Severity.NOTE)
    return f"{count} {severity.value}{'s' if is_noun and count > 1 else ''}"
