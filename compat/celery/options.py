"""Celery's command line with our worker behind it; what cannot be supported is refused by name, with the reason."""

import copy
from collections.abc import Callable
from typing import Any

import click
from celery.bin.celery import celery as celery_command
from celery.bin.worker import WorkersPool

from compat.celery.app import install
from compat.celery.pools import REFUSED_POOLS, name_of

REFUSED_COMMANDS = {
    "multi": "start each worker under a supervisor: multi starts `celery`, whose workers do not read Dramatiq's queues",
    "migrate": "it copies between kombu's queues; let workers of both kinds run until the old queues are empty",
    "list": "it lists the bindings of kombu's queues; the tasks are in Dramatiq's",
    "amqp": "it speaks to kombu's queues; the tasks are in Dramatiq's",
}


def command_line() -> click.Group:
    """Celery's group of commands, for an application on Dramatiq. Celery's own is left as it is."""
    group: click.Group = copy.copy(celery_command)
    group.callback = _installing(celery_command.callback)
    group.commands = dict(celery_command.commands)
    for name, reason in REFUSED_COMMANDS.items():
        if name in group.commands:
            group.commands[name] = _refused(group.commands[name], name, reason)
    worker = _with_callback(group.commands["worker"], _checked)
    worker.params = [_with_pools(option) if option.name == "pool" else option for option in worker.params]
    group.commands["worker"] = worker
    group.commands["purge"] = _purge_command(group.commands["purge"])
    return group


def main() -> int:
    """Run the command line; returns its exit status."""
    return int(command_line()(auto_envvar_prefix="CELERY") or 0)


def _installing(callback: Callable[..., Any]) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        result = callback(*args, **kwargs)
        install(click.get_current_context().obj.app)
        return result

    return run


def _with_callback(command: click.Command, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> click.Command:
    changed = copy.copy(command)
    assert command.callback is not None  # noqa: S101 - Celery's commands have one
    changed.callback = wrap(command.callback)
    return changed


class _Pools(WorkersPool):
    """Celery's pools, without those that are refused, whether their packages are installed or not."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        _refuse_pool(value)
        found = super().convert(value, param, ctx)
        # The setting `worker_pool` counts where the command line says nothing.
        _refuse_pool(name_of(found))
        return found


def _with_pools(option: click.Parameter) -> click.Parameter:
    changed = copy.copy(option)
    changed.type = _Pools()
    return changed


def _refuse_pool(name: object) -> None:
    if name in REFUSED_POOLS:
        refuse(f"-P {name}", REFUSED_POOLS[str(name)])


def _checked(callback: Callable[..., Any]) -> Callable[..., Any]:
    """The worker's command, without what has no counterpart here."""

    def run(*args: Any, **options: Any) -> Any:
        if options.get("detach"):
            refuse("-D / --detach", "a detached worker has no supervisor to start it again; run it under one")
        if options.get("pool_start_method") == "spawn":
            refuse("--pool-start-method spawn", "children are forked by a process without threads; use fork")
        return callback(*args, **options)

    return run


def _refused(command: click.Command, name: str, reason: str) -> click.Command:
    def run(*_: Any, **__: Any) -> None:
        refuse(name, reason)

    refused = click.Command(name, callback=run, help=f"Not supported on Dramatiq: {reason}.", add_help_option=True)
    refused.ignore_unknown_options = refused.allow_extra_args = True
    refused.hidden = command.hidden
    return refused


def refuse(what: str, reason: str) -> None:
    """End the command line with the reason.

    Raises:
        UsageError: always.
    """
    text = f"{what} is not supported on Dramatiq: {reason}."
    raise click.UsageError(text)


def _purge_command(command: click.Command) -> click.Command:
    changed = copy.copy(command)
    changed.callback = _purge
    return changed


@click.pass_context
def _purge(
    ctx: click.Context, /, force: bool = False, queues: Any = None, exclude_queues: Any = None, **_: Any
) -> None:
    """Drop all waiting tasks of the known queues."""
    app = ctx.obj.app
    names = sorted(set(queues or app.amqp.queues) - set(exclude_queues or ()))
    if not names:
        return
    if not force:
        listed = ", ".join(names)
        click.confirm(f"This removes all waiting tasks from {listed}, for ever. Go on?", abort=True)
    count = sum(app.amqp.broker.purge(name) for name in names)
    found = f"Purged {count} message{'s' if count != 1 else ''}" if count else "No messages purged"
    ctx.obj.echo(f"{found} from {len(names)} known task queue{'s' if len(names) != 1 else ''}.")
