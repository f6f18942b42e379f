"""The headings above a place in a document."""

MAX_PLACE_CHARS = 200


class Outline:
    """The open headings, outermost first."""

    def __init__(self) -> None:
        self._open: list[tuple[int, str]] = []

    def enter(self, level: int, title: str) -> str:
        """The place below a heading, as `Install > Linux`, at most 200 characters.

        Args:
            level: 1 is the outermost; headings of this level or deeper are closed first.
            title: its text; whitespace is folded. An empty title closes without opening.
        """
        while self._open and self._open[-1][0] >= level:
            self._open.pop()
        folded = " ".join(title.split())
        if folded:
            self._open.append((level, folded))
        return self.place

    @property
    def place(self) -> str:
        """The current place; empty above the first heading."""
        path = " > ".join(title for _, title in self._open)
        # The innermost heading tells most, so a long path loses its beginning.
        return path if len(path) <= MAX_PLACE_CHARS else "…" + path[1 - MAX_PLACE_CHARS :]
