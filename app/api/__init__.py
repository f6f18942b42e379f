"""The REST interface: routes, their schemas, and who may call them."""
