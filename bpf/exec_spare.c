/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Hook:    tracepoint sched:sched_process_exec, as perf sees it
 * Where:   as zt_exec, which comes first; current runs the new program
 * Since:   ever; needed since 7.0, for the reason exit_spare.c gives
 * Cost:    one filter check per exec, one lookup where it is wanted
 * Unseen:  an exec while this CPU's BPF programs are held up by a system call on a
 *          map that was preempted; zt_exec sees it
 */
int zt_exec_spare(void *ctx)
{
	const void *task = (const void *)bpf_get_current_task();
	const struct zt_config *config = zt_get_config();

	if (config && zt_task_wanted(config, task))
		zt_emit_exec(task);
	return 0;
}
