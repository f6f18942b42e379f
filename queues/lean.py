"""Data that is made for every message: frozen to the type checker alone.

A frozen dataclass sets each field through `object.__setattr__`: three times the time that it takes to make a message.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as lean
else:
    from dataclasses import dataclass

    def lean(*, frozen: bool, slots: bool) -> type:
        """A dataclass that Python lets be changed, with the hash of a frozen one."""
        return dataclass(slots=slots, unsafe_hash=frozen)


NOTHING: Mapping[str, Any] = {}
"""In the place of an empty mapping for each message, which the garbage collector would count; nobody changes it."""


def nothing() -> Mapping[str, Any]:
    """The mapping without entries, as a field's default."""
    return NOTHING


__all__ = ["NOTHING", "lean", "nothing"]
