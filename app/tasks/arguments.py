"""What the tasks accept as arguments: checked before anything is read or written."""

from app.tasks.errors import TaskInputError

MAX_ID_CHARS = 254
"""Of an id and of a tenant; an e-mail address, which may be a user's id, is no longer (RFC 5321)."""


def checked_line(field: str, value: object, max_chars: int = MAX_ID_CHARS) -> str:
    """The value, when it is one line of text with something in it.

    Raises:
        TaskInputError: not a string, empty or blank, too long, or with a control character: a line break
            in a title would start a new header of the mail.
    """
    text = checked_text(field, value, max_chars)
    if any(not char.isprintable() for char in text):
        raise TaskInputError(field, "it has a line break or a control character")
    return text


def checked_text(field: str, value: object, max_chars: int) -> str:
    """The value, when it is text of 1 to `max_chars` characters; line breaks and tabs are allowed.

    Raises:
        TaskInputError: not a string, empty or blank, too long, or not to be encoded in UTF-8.
    """
    if not isinstance(value, str):
        raise TaskInputError(field, f"text is expected, not {type(value).__name__}")
    if not value.strip():
        raise TaskInputError(field, "it is empty")
    if len(value) > max_chars:
        raise TaskInputError(field, f"it has {len(value):,} characters, at most {max_chars:,} are accepted")
    if any((ord(char) < 32 and char not in "\n\r\t") or 0xD800 <= ord(char) <= 0xDFFF for char in value):
        raise TaskInputError(field, "it has a control character")
    return value


def checked_number(field: str, value: object, least: int, most: int) -> int:
    """The value, when it is a whole number from `least` to `most`.

    Raises:
        TaskInputError: it is not; `True` is no number here.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise TaskInputError(field, f"a whole number is expected, not {type(value).__name__}")
    if not least <= value <= most:
        raise TaskInputError(field, f"{value} is not from {least} to {most}")
    return value
