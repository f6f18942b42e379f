"""Names of queues: Celery takes any text, Dramatiq reserves some."""

from urllib.parse import quote

RESERVED_ENDINGS = (".DQ", ".XQ", ".msgs")


def quoted(name: str) -> str:
    """A Celery queue's name with what Dramatiq reads as its own escaped, so that no two names become one."""
    text = quote(name, safe=" @!$&'()*+,;=/#[]{}|<>?^`\"\\")
    for ending in RESERVED_ENDINGS:
        if text.endswith(ending):
            text = f"{text.removesuffix(ending)}%2E{ending[1:]}"
    return text
