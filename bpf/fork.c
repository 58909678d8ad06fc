/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Hook:    raw tracepoint sched_wakeup_new
 * Where:   wake_up_new_task(), before the child runs; current called clone. The
 *          run queue is locked, so that nobody else forks on this CPU meanwhile:
 *          sched_process_fork, just before, can be preempted since 7.0, and whoever
 *          forks then runs no program
 * Since:   ever
 * Cost:    two reads per new thread, one filter check per new process
 * Unseen:  nothing. current is the caller, which with CLONE_PARENT is not the one
 *          who must reap: real_parent is read
 */
int zt_fork(struct bpf_raw_tracepoint_args *ctx)
{
	const void *child = (const void *)ctx->args[0];
	const struct zt_config *config = zt_get_config();
	struct zt_event *e;

	if (!config || task_struct__pid(child) != task_struct__tgid(child))
		return 0;
	if (!zt_task_wanted(config, child))
		return 0;
	e = zt_reserve(ZT_KIND_FORK);
	if (!e)
		return 0;
	zt_fill_current(e, zt_fill_subject(e, child));
	zt_events.ringbuf_submit(e, 0);
	return 0;
}
