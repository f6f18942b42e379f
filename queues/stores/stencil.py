"""A command as it travels to a server, of which all is packed once but what each call fills in."""

import re
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any


class Stencil:
    """A command with marks in its words, in whose places each call's values stand.

    Args:
        marks: what stands for the values, in their order.
        sized: the first so many values are always as long as their marks.
    """

    def __init__(self, words: Sequence[str | int | bytes], marks: Sequence[bytes], sized: int) -> None:
        self._marks = marks
        self._sized = sized
        self._varying: list[tuple[int, Callable[[Sequence[bytes]], tuple[bytes, ...]]]] = []
        """Words whose length varies: the length of what does not, and which of the values do."""
        self._order: list[int] = []
        """What is formatted, by its place among the values, then the lengths of those words."""
        mark = re.compile(b"|".join(map(re.escape, marks)))
        data = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        self._text = b"*%d\r\n" % len(data) + b"".join([self._packed(each, mark) for each in data])
        self._chosen = _chosen(self._order)

    def filled(self, values: Sequence[bytes]) -> bytes:
        """The command with these values."""
        filling: list[Any] = [*values]
        for rest, varying in self._varying:
            filling.append(rest + len(b"".join(varying(values))))
        return self._text % self._chosen(filling)

    def _packed(self, word: bytes, mark: re.Pattern[bytes]) -> bytes:
        """The word as it is formatted."""
        holes = [self._marks.index(found) for found in mark.findall(word)]
        varying = [hole for hole in holes if hole >= self._sized]
        length = b"%d" % len(word)
        if varying:
            length = b"%d"
            rest = len(word) - sum(len(self._marks[hole]) for hole in varying)
            self._order.append(len(self._marks) + len(self._varying))
            self._varying.append((rest, _chosen(varying)))
        self._order += holes
        return b"$%b\r\n%b\r\n" % (length, mark.sub(b"%b", word.replace(b"%", b"%%")))


def _chosen(places: Sequence[int]) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    """As `itemgetter`, and a tuple of one or none too."""
    return itemgetter(*places) if len(places) > 1 else lambda values: tuple([values[place] for place in places])
