/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Hook:    raw tracepoint sched_process_free
 * Where:   an RCU callback after release_task; current has nothing to do with it
 * Since:   ever
 * Cost:    two reads and a hash lookup per thread that ended
 * Unseen:  the moment of the release (mostly 10 to 25 ms earlier, up to 2 s where
 *          grace periods are long) and who did it. real_parent is the final one,
 *          but may be gone: user space checks it
 */
int zt_free(struct bpf_raw_tracepoint_args *ctx)
{
	const void *task = (const void *)ctx->args[0];
	struct zt_tracked_key key = {};
	struct zt_tracked tracked = {};
	struct zt_tracked *found;
	struct zt_event *e;

	/* A lookup in an empty table takes 0.4 us, and every thread of the host ends. */
	if (!zt_follows_any())
		return 0;
	key.host_pid = task_struct__tgid(task);
	if (task_struct__pid(task) != key.host_pid)
		return 0;
	key.start_boot_ns = task_struct__start_boottime(task);
	found = zt_tracked.lookup(&key);
	if (!found)
		return 0;
	tracked = *found;
	if (!zt_untrack(&key))
		return 0;

	e = zt_reserve(ZT_KIND_FREE);
	if (!e)
		return 0;
	zt_fill_subject(e, task);
	e->ns_pid = tracked.ns_pid;
	e->pidns_inum = tracked.pidns_inum;
	e->pidns_level = tracked.pidns_level;
	e->init_start_boot_ns = tracked.init_start_boot_ns;
	e->cgroup_id = tracked.cgroup_id;
	zt_events.ringbuf_submit(e, 0);
	return 0;
}
