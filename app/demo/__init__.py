"""`python -m app.demo [FOLDER]`: documents through the service as a client would send them, on both backends."""
