"""Boot real kernels in virtual machines and run the project in them.

Runs on the system's own Python: nothing here imports zomtrace or anything that
is not in the standard library.
"""
