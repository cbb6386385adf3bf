"""What is measured, a module a row of the table."""
