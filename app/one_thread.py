"""Keep numpy to one thread a process: else it starts one for each processor in each of ours, only to have them wait."""

import os

ONE_THREAD = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
}
"""Environment variables, read when numpy is imported."""


def use_one_thread() -> None:
    """Set what is not set; to be called before numpy is imported."""
    for name, value in ONE_THREAD.items():
        os.environ.setdefault(name, value)
