"""`CELERY_ON_DRAMATIQ=1`: every Celery application of a process is on Dramatiq, for code that cannot be edited.

`celery-on-dramatiq.pth`, which the package puts beside itself, has each Python that starts with the variable call
`switch_on`; without the variable nothing of this runs. No environment variable of Celery's does it: a loader, which
`CELERY_LOADER` names, is made when the settings are first read, and by then an application may have sent a task.
"""

import functools
import importlib
import importlib.util
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

SWITCH = "CELERY_ON_DRAMATIQ"
ON = frozenset({"1", "yes", "true", "on"})
APPLICATIONS = "celery.app.base"
"""The module of Celery's class of applications."""


def switch_on() -> None:
    """Put each Celery application on Dramatiq when it is made, if the variable says so. Imports no Celery itself."""
    is_on = os.environ.get(SWITCH, "").strip().lower() in ON
    if is_on and APPLICATIONS not in sys.modules and not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder:
    """Waits for the import of Celery's class of applications, and of nothing else."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != APPLICATIONS:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                _install_each(module.Celery)

            # Not a loader of ours around it: that one is asked for the source, too.
            spec.loader.exec_module = exec_module  # type: ignore[method-assign] # of this one object
        return spec


def _install_each(kind: Any) -> None:
    """Have the class install what it makes; `compat.celery` is imported with the first application."""
    make = kind.__init__

    @functools.wraps(make)
    def make_and_install(self: Any, *args: Any, **kwargs: Any) -> None:
        make(self, *args, **kwargs)
        importlib.import_module("compat.celery.app").install(self)

    kind.__init__ = make_and_install
