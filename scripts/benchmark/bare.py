"""Programs that do nothing, attached to the hooks zomtrace uses: the physical limit.

Run by the system's Python, whose BCC it is.
"""

import signal
import sys

from bcc import BPF

HOOKS = (
    "sched_process_fork",
    "sched_process_exec",
    "sched_process_exit",
    "sched_process_free",
    "signal_generate",
    "signal_deliver",
)

programs = BPF(text="".join(f"int raw_tracepoint__{hook}(void *ctx) {{ return 0; }}\n"
                            for hook in HOOKS))  # fmt: skip
sys.stderr.write("bare: attached\n")
sys.stderr.flush()
signal.sigwait({signal.SIGINT, signal.SIGTERM})
