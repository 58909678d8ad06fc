"""Names, durations, causes and plurals in words."""
