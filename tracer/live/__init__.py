"""A running trace and what it reads besides the kernel's events."""
