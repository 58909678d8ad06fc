"""The best hook of each row, as a kernel with kprobes has it."""

from __future__ import annotations

PLAN = {
    "exit": "raw_tp:sched_process_exit",
    "exit_begin": "kprobe:do_exit",
    "reap": "kprobe:release_task",
    "free": "raw_tp:sched_process_free",
    "signal": "raw_tp:signal_generate",
    "deliver": "raw_tp:signal_deliver",
    "fork": "raw_tp:sched_wakeup_new",
    "exec": "raw_tp:sched_process_exec",
    "teardown_begin": "kprobe:zap_pid_ns_processes",
    "teardown_end": "kretprobe:zap_pid_ns_processes",
    "fork_failed": "kretprobe:kernel_clone",
    "seed": "iter:task",
    "folded": "iter:bpf_map_elem",
}
SPARES = {
    "exit_spare": "tp:sched/sched_process_exit",
    "exec_spare": "tp:sched/sched_process_exec",
}
OOM = {"raw_tp:mark_victim", "kprobe:__oom_kill_process"}
