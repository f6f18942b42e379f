"""`queues purge`: take queued work away, after it was shown how much that is."""

import argparse
from collections import Counter

from queues.commands.agreement import is_agreed, tell
from queues.commands.session import Exit, Session
from queues.commands.sides import queued_of, records_of
from queues.doctor.application import queue_of
from queues.errors import InvalidOptionError
from queues.inspection import printable
from queues.purge import Purge
from queues.tasks import Tasks


def purge(arguments: argparse.Namespace, session: Session) -> int:
    """End the queued work of one task, of one queue, or all of it."""
    if not (arguments.task or arguments.queue or arguments.all):
        msg = "say what is to be purged: --task NAME, --queue NAME, or --all"
        raise InvalidOptionError(msg)
    queue = queue_of(arguments.application)
    _check(queue.tasks, arguments)

    def is_meant(task: str, of: str) -> bool:
        is_known = task in queue.tasks
        return is_known and arguments.task in (None, task) and arguments.queue in (None, of)

    with records_of(queue, session.terminal).inspector() as inspector:
        queued = queued_of(queue)
        try:
            purge_ = Purge(queue.store, queued, is_meant)
            counts = Counter(printable(work.task or "?") for work in purge_.meant(inspector))
            plan = [f"{count} of {task}" for task, count in sorted(counts.items())]
            if arguments.dry_run:
                found = f"{', '.join(plan)} would end as cancelled." if plan else "No task is queued."
                return tell(session, Exit.DONE, "unchanged", f"{found} Nothing was changed.")
            if plan:
                plan.append("Each would end as cancelled, and its message would be removed. What runs goes on.")
            else:
                plan.append("No task is queued. Messages that ended work left behind would be removed.")
            if not is_agreed(session, plan, yes=arguments.yes):
                return Exit.REFUSED
            purge_.by_messages()
            purge_.by_records(inspector)
        finally:
            queued.close()
    done = purge_.purged
    text = f"purge: {done.cancelled} cancelled, {done.removed} messages removed, {done.spared} had begun"
    return tell(session, Exit.DONE, "purged", text)


def _check(tasks: Tasks, arguments: argparse.Namespace) -> None:
    if arguments.task is not None:
        tasks.get(arguments.task)
    queues = sorted({task.queue for task in tasks})
    if arguments.queue is not None and arguments.queue not in queues:
        msg = f"no task has the queue {arguments.queue!r}; there are: {', '.join(queues)}"
        raise InvalidOptionError(msg)
