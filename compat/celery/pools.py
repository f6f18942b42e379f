"""The pools that are refused: Celery's own that Dramatiq's consumers cannot work beside."""

REFUSED_POOLS = {
    "eventlet": "Dramatiq's consumers are threads, which it does not patch; use -P threads",
    "gevent": "Dramatiq's consumers are threads, which it does not patch; use -P threads",
}


def name_of(pool: type) -> str:
    """What the command line calls one of Celery's pools."""
    return pool.__module__.rpartition(".")[2]
