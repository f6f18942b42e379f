"""`queues bench`: task systems side by side, in one run, with their work verified.

A scenario (`scenarios/`) measures one thing; a contender (`contenders.py`) is a task system in one configuration, run
by a program of its own (`programs/`) in processes of its own, where need be in an environment of its own. Rounds are
interleaved, so that a noisy machine is noisy for all; a comparison is the median of the rounds' ratios.
"""
