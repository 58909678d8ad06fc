/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Hook:    kretprobe kernel_clone
 * Where:   fork, vfork, clone, clone3 return to current, the caller
 * Since:   needs kprobes; kernel_clone is there since 5.10
 * Cost:    a return probe per fork of the host, one filter check per failure
 * Unseen:  calls refused before kernel_clone (bad clone3 arguments)
 */
int zt_fork_failed(void *ctx)
{
	int ret = (int)ZT_KPROBE_RETURN(ctx);
	const void *task;
	const struct zt_config *config;
	struct zt_event *e;

	if (ret >= 0)
		return 0;
	config = zt_get_config();
	task = (const void *)bpf_get_current_task();
	if (!config || !zt_task_wanted(config, task))
		return 0;
	zt_open_up(task);
	e = zt_reserve(ZT_KIND_FORK_FAILED);
	if (!e)
		return 0;
	zt_fill_current(e, zt_fill_subject(e, task));
	e->error = ret;
	zt_events.ringbuf_submit(e, 0);
	return 0;
}
