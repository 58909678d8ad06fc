"""A policy enforcer in small: a BPF program that kills a process in its own context.

Usage: ``bpf_killer.py PID``, as root. It sends SIGKILL by bpf_send_signal() at the next
system call that the process makes, and ends once that has been done.
"""

from __future__ import annotations

import sys
import time

from bcc import BPF

PROGRAM = """
BPF_ARRAY(sent, u32, 1);

RAW_TRACEPOINT_PROBE(sys_enter)
{
	int first = 0;
	u32 *count = sent.lookup(&first);

	if (!count || *count || bpf_get_current_pid_tgid() >> 32 != VICTIM)
		return 0;
	if (bpf_send_signal(9) == 0)
		*count = 1;
	return 0;
}
"""


def main() -> None:
    """Kill the process given."""
    program = BPF(
        text=PROGRAM,
        # Kernels ask kprobes alone for their version.
        cflags=[f"-DVICTIM={int(sys.argv[1])}", "-DLINUX_VERSION_CODE=0", "-Wno-everything"],
    )
    deadline = time.monotonic() + 20
    while program["sent"][0].value == 0:
        if time.monotonic() > deadline:
            raise SystemExit("the process made no system call")
        time.sleep(0.01)


if __name__ == "__main__":
    main()
