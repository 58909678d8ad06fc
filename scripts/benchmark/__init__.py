"""Measures zomtrace and its peers side by side; scripts/bench starts it."""
