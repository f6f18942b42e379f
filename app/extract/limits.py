"""How much of a machine one document may take."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What a document may cost before it is given up as failed.

    Attributes:
        wall_s: seconds the reader may wait for the parser, all waits together; the time in which the
            consumer works on a chunk does not count.
        cpu_s: seconds of CPU the parser may use for the document.
        max_memory_bytes: address space of the parser's process. Python with a parser loaded takes
            about 150 MB of it.
        max_file_bytes: size of the file on disk.
        max_pages: pages of a PDF.
        max_chars: characters of text. A CSV of 25 MB gives up to 60 million, as each row repeats its column
            names; more can only come out of compression.
    """

    wall_s: float = 120.0
    cpu_s: float = 100.0
    max_memory_bytes: int = 1024 * 1024 * 1024
    max_file_bytes: int = 25 * 1024 * 1024
    max_pages: int = 2000
    max_chars: int = 100_000_000
