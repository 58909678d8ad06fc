"""The classic cases, played live."""
