"""The capture file: what a trace saw, kept to be read again without root."""
