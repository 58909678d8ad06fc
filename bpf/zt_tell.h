/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What two hooks of one place tell: whichever comes first.
 */
#ifndef ZT_TELL_H
#define ZT_TELL_H

static __always_inline void zt_tell_exit(const void *task, bool group_dead)
{
	const void *leader = task_struct__group_leader(task);
	struct zt_event *e;

	if (group_dead) {
		/* Several threads may see that none is left; the first one tells. */
		if (!zt_track(leader, true))
			return;
	} else {
		/* A thread ends and the process lives on: only its leader is news. */
		if (task != leader || zt_leader_is_replaced(leader))
			return;
		/* Another leader of the same process has another address. */
		if (!zt_is_first(ZT_KIND_EXIT, task_struct__tgid(leader),
				 task_struct__start_boottime(leader) ^ (u64)leader))
			return;
	}

	e = zt_reserve(ZT_KIND_EXIT);
	if (!e)
		return;
	zt_fill_current(e, zt_fill_subject(e, task));
	/* live may fall to 0 under the leader's feet: what is said is group_dead. */
	if (group_dead)
		e->flags |= ZT_F_GROUP_DEAD;
	else
		e->flags &= ~ZT_F_GROUP_DEAD;
	e->pdeath_signal = task_struct__pdeath_signal(leader);
	zt_events.ringbuf_submit(e, 0);
}

static __always_inline void zt_tell_exec(const void *task)
{
	/* A process's execs are counted; its children count on from there. */
	u64 id = task_struct__start_boottime(task) + task_struct__self_exec_id(task);
	struct zt_event *e;

	if (!zt_is_first(ZT_KIND_EXEC, task_struct__tgid(task), id))
		return;
	e = zt_reserve(ZT_KIND_EXEC);
	if (!e)
		return;
	zt_fill_current(e, zt_fill_subject(e, task));
	zt_events.ringbuf_submit(e, 0);
}

#endif
