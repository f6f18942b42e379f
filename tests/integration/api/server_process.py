"""The API as a process of its own, with a worker thread on the memory backend.

`python -m tests.integration.api.server_process WORK_FILE`: the worker begins when WORK_FILE exists.
"""

import sys
import threading
import time
from pathlib import Path

from app.main import create_app, serve
from app.settings import Settings
from app.tasks.registry import build_tasks
from app.tasks.services import Services
from queues import connect


def main():
    """Serve what the environment says."""
    settings = Settings()
    queue = connect(build_tasks(Services(settings)), backend="memory")
    work_file = Path(sys.argv[1])

    def work():
        while True:
            if not work_file.exists() or queue.backend.run_one() is None:
                time.sleep(0.02)

    threading.Thread(target=work, daemon=True).start()
    serve(create_app(settings, queue=queue), settings)


if __name__ == "__main__":
    main()
