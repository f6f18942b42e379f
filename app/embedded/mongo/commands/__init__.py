"""The commands: what a client may ask, checked field by field, and what it is answered."""
