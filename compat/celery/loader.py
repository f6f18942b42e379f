"""For code that cannot be edited: a loader that puts every application that is made with it on Dramatiq.

`CELERY_LOADER=compat.celery.loader:Loader` is Celery's own way to name it, for each process that sends or runs tasks.
`CELERY_ON_DRAMATIQ=0` switches it off again without touching that.
"""

import os
from typing import Any

from celery.loaders.app import AppLoader

from compat.celery.app import install

SWITCH = "CELERY_ON_DRAMATIQ"
OFF = frozenset({"0", "no", "false", "off"})


class Loader(AppLoader):
    """Celery's loader of applications."""

    def __init__(self, app: Any, **options: Any) -> None:
        super().__init__(app, **options)
        if os.environ.get(SWITCH, "1").strip().lower() not in OFF:
            install(app)
