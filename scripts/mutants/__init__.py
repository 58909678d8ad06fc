"""Mutation testing of the rooms that conclude: what `scripts/test --mutants` runs."""
