"""What things look like: documents of JSON out of rows."""
