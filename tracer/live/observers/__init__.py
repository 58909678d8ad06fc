"""Readings of /proc, cgroups and engines that verdicts rest on."""
