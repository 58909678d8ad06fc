"""The same conclusions from a capture."""
