"""The service: documents and websites in, cited answers out."""
