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
	if (!group_dead && (task != leader || zt_leader_is_replaced(leader)))
		return 0;

	/* Without the argument several threads may read 0; the first one tells. */
	if (group_dead && !zt_track(leader, true) && !ZT_EXIT_HAS_GROUP_DEAD)
		return 0;

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
