"""The commands of `queues`, a module a group."""
