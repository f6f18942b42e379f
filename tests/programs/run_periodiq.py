"""`python -m run_periodiq`: the command periodiq, which is no module that Python can run."""

from periodiq import entrypoint

entrypoint()
