/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Hook:    tracepoint sched:sched_process_exit, as perf sees it
 * Where:   as zt_exit, which comes first; current is the thread that ends
 * Since:   ever; needed since 7.0, whose tracepoints can be preempted: a thread
 *          that ends while another one is in the midst of zt_exit on the same CPU
 *          finds it taken. perf's side of a tracepoint is never preempted
 * Cost:    one filter check per thread that ends, one lookup per process
 * Unseen:  an exit while this CPU's BPF programs are held up by a system call on a
 *          map that was preempted; zt_exit sees it
 */
int zt_exit_spare(void *ctx)
{
	const void *task = (const void *)bpf_get_current_task();
	const struct zt_config *config = zt_get_config();

	if (!config || !zt_task_wanted(config, task))
		return 0;
	zt_emit_exit(task, zt_live(task) == 0);
	return 0;
}
