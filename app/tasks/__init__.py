"""The five tasks of the service."""
