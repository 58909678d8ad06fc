/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Hook:    raw tracepoint sched_process_exit
 * Where:   do_exit(), every thread; current is the thread that ends
 * Since:   ever; with a second argument group_dead where BTF shows one (then
 *          before the memory is given back, else after)
 * Cost:    one filter check per thread that ends, one record per process
 * Unseen:  how long the way to the zombie is from here (2 GiB of memory take
 *          150 ms): the exit notification tells
 */
int zt_exit(struct bpf_raw_tracepoint_args *ctx)
{
	const void *task = (const void *)ctx->args[0];
	const struct zt_config *config = zt_get_config();
	struct zt_tracked_key key = {};
	struct zt_tracked tracked = {};
	struct zt_tracked *known;
	const void *leader;
	struct zt_event *e;
	bool group_dead;

	if (!config || !zt_task_wanted(config, task))
		return 0;
	leader = task_struct__group_leader(task);
#if ZT_EXIT_HAS_GROUP_DEAD
	group_dead = ctx->args[1] & 1;
#else
	group_dead = zt_live(task) == 0;
#endif
	/* A thread ends and the process lives on: only its leader is news. */
	if (!group_dead && task != leader)
		return 0;

	if (group_dead) {
		const void *pid = task_struct__thread_pid(leader);
		const void *ns;

		key.start_boot_ns = task_struct__start_boottime(leader);
		key.host_pid = task_struct__tgid(leader);
#if !ZT_EXIT_HAS_GROUP_DEAD
		/* Several threads may read 0 here; the first one tells. */
		known = zt_tracked.lookup(&key);
		if (known && known->exit_seen)
			return 0;
#endif
		tracked.pidns_level = pid__level(pid);
		ns = zt_innermost_ns(pid, tracked.pidns_level);
		tracked.ns_pid = upid__nr(zt_upid(pid, tracked.pidns_level));
		tracked.pidns_inum = pid_namespace__ns_inum(ns);
		tracked.init_start_boot_ns = task_struct__start_boottime(
			task_struct__group_leader(pid_namespace__child_reaper(ns)));
		tracked.cgroup_id = zt_cgroup_id(leader);
		tracked.exit_seen = 1;
		if (zt_tracked.update(&key, &tracked))
			zt_count_drop(ZT_KIND_FREE);
	}

	e = zt_reserve(ZT_KIND_EXIT);
	if (!e)
		return 0;
	zt_fill_current(e, zt_fill_subject(e, task));
	/* live may fall to 0 under the leader's feet: what is said is group_dead. */
	if (group_dead)
		e->flags |= ZT_F_GROUP_DEAD;
	else
		e->flags &= ~ZT_F_GROUP_DEAD;
	e->pdeath_signal = task_struct__pdeath_signal(leader);
	zt_events.ringbuf_submit(e, 0);
	return 0;
}
