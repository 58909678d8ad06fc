/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Hook:    raw tracepoint sched_process_free
 * Where:   an RCU callback after release_task; current has nothing to do with it
 * Since:   ever
 * Cost:    two reads per thread that ended; two hash lookups per process, and one
 *          record where its lifetime was folded and uneventful
 * Unseen:  the moment of the release (mostly 10 to 25 ms earlier, up to 2 s where
 *          grace periods are long) and who did it. real_parent is the final one,
 *          but may be gone: user space checks it
 */
int zt_free(struct bpf_raw_tracepoint_args *ctx)
{
	const void *task = (const void *)ctx->args[0];
	const struct zt_config *config = zt_get_config();
	struct zt_tracked_key key = {};
	struct zt_tracked tracked = {};
	struct zt_tracked *found;
	struct zt_lifetime *lifetime;
	struct zt_event *e;

	key.host_pid = task_struct__tgid(task);
	if (!config || task_struct__pid(task) != key.host_pid)
		return 0;
	key.start_boot_ns = task_struct__start_boottime(task);
	lifetime = zt_find_lifetime(&key);
	if (lifetime && !lifetime->opened) {
		if (zt_was_waited_for(lifetime, task)) {
			if (zt_is_recent(config, lifetime)) {
				zt_close_lifetime(lifetime, &key, task, 0);
				return 0;
			}
			if (zt_was_gone_early(config, lifetime)) {
				zt_close_lifetime(lifetime, &key, task, ZT_F_FOUND);
				return 0;
			}
		}
		zt_open_forker(lifetime);
		zt_open_lifetime(lifetime, task, bpf_ktime_get_boot_ns());
		/* Its end was not seen. */
		if (!lifetime->so_far.exit_ns)
			zt_follow(lifetime);
	}
	if (lifetime && !zt_lifetimes.delete(&key))
		zt_count(ZT_NUMBER_FOLDED, -1);

	/* A lookup in an empty table takes 0.4 us, and every thread of the host ends. */
	if (!zt_is_any(ZT_NUMBER_FOLLOWED))
		return 0;
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
