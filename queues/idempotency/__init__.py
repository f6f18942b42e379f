"""The engine: what may run, what must wait, and what is already answered."""
