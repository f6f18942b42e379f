"""Servers that come with the project, so that it runs on a machine that has only Python."""
