"""What is known while the run goes on: counts, from the ledger's new lines."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.ledger import Line, Phase, Reader


@dataclass(slots=True)
class Tally:
    """The ledger so far.

    Args:
        folder: of the ledger's files.
        acked: id of the message of each acknowledged piece of work, by its name.
    """

    folder: Path
    lines: list[Line] = field(default_factory=list)
    acked: dict[str, str] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    phases: Counter[Phase] = field(default_factory=Counter)
    _reader: Reader | None = None

    def update(self) -> None:
        """Take in what was added."""
        if self._reader is None:
            self._reader = Reader(self.folder)
        for line in self._reader.new():
            self.lines.append(line)
            self.phases[line.phase] += 1
            if line.phase is Phase.ACKED:
                self.acked[line.name] = line.message
            elif line.phase is Phase.END:
                self.ended.add(line.name)
