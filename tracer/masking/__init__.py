"""Command lines shown without the secrets in them."""
