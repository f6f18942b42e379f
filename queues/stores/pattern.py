"""Patterns of Redis's SCAN."""

import re


def literal(text: str) -> str:
    """A pattern that matches the text and nothing else."""
    return re.sub(r"([\\*?\[\]])", r"\\\1", text)
