"""What is kept in MongoDB, one module a collection, and the uploaded files."""
