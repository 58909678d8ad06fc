"""Programs that do nothing, attached to the hooks zomtrace uses: the physical limit.

Run by the system's Python, whose BCC it is.
"""

import signal
import sys

from bcc import BPF

HOOKS = {
    "bare_fork": "sched_wakeup_new",
    "bare_exec": "sched_process_exec",
    "bare_exit": "sched_process_exit",
    "bare_free": "sched_process_free",
    "bare_signal": "signal_generate",
    "bare_deliver": "signal_deliver",
}
PERF_HOOKS = {
    "bare_exit_spare": "sched:sched_process_exit",
    "bare_exec_spare": "sched:sched_process_exec",
}

names = (*HOOKS, *PERF_HOOKS)
programs = BPF(text="".join(f"int {name}(void *ctx) {{ return 0; }}\n" for name in names))
for function, tracepoint in HOOKS.items():
    programs.attach_raw_tracepoint(tp=tracepoint, fn_name=function)
for function, tracepoint in PERF_HOOKS.items():
    programs.attach_tracepoint(tp=tracepoint, fn_name=function)
sys.stderr.write("bare: attached\n")
sys.stderr.flush()
signal.sigwait({signal.SIGINT, signal.SIGTERM})
