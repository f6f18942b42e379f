"""`python -m compat.celery -A proj worker|beat|inspect|...`: Celery's command line, on Dramatiq."""

import sys

from compat.celery.options import main

if __name__ == "__main__":
    sys.exit(main())
