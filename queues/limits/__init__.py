"""Limits of a task: how long an attempt may take, how many begin in a time, how many run at once."""
