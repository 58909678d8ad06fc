/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Hook:    kprobe release_task
 * Where:   the moment a task leaves the process table; current is the parent in
 *          wait(), the dying task itself (nobody wants its status), the init of
 *          a namespace in teardown, or a dying father whose heir ignores SIGCHLD
 * Since:   needs kprobes
 * Cost:    one filter check per thread that ends, one record per process
 * Unseen:  a leader that its last thread releases: a loop inside release_task
 *          without a second entry; sched_process_free tells of it
 */
int zt_reap(void *ctx)
{
	const void *task = (const void *)ZT_KPROBE_ARG1(ctx);
	const struct zt_config *config = zt_get_config();
	struct zt_event *e;

	if (!config || task_struct__pid(task) != task_struct__tgid(task))
		return 0;
	if (!zt_task_wanted(config, task))
		return 0;
	e = zt_reserve(ZT_KIND_REAP);
	if (!e)
		return 0;
	zt_fill_current(e, zt_fill_subject(e, task));
	zt_events.ringbuf_submit(e, 0);
	return 0;
}
