/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Emitting records: the plain case, and exits and execs, where two hooks see the same
 * event and the first of them emits it.
 */
#ifndef ZT_EMIT_H
#define ZT_EMIT_H

/* Emits a record of a task and of current, with nothing added by the hook. */
static __always_inline void zt_emit(u32 kind, const void *task)
{
	struct zt_event *e = zt_reserve(kind);

	if (!e)
		return;
	zt_fill_current(e, zt_fill_subject(e, task));
	zt_events.ringbuf_submit(e, 0);
}

/* Whether the exit of a process was stored in its folded lifetime. */
static __always_inline bool zt_fold_exit(struct zt_lifetime *lifetime, const void *task,
					 const void *leader)
{
	struct zt_tracked_key key = zt_key_of(leader);
	struct zt_event *so_far = &lifetime->so_far;

	/* Another thread of the process was faster. */
	if (so_far->exit_ns)
		return true;
	if (!zt_ends_uneventful(lifetime, task, leader))
		return false;
	so_far->exit_code = zt_wait_status(leader, task_struct__signal(leader));
	so_far->pdeath_signal = task_struct__pdeath_signal(leader);
	so_far->live_threads = 0;
	so_far->flags |= ZT_F_GROUP_DEAD;
	zt_rename_lifetime(so_far, leader);
	so_far->exit_ns = bpf_ktime_get_boot_ns();
	if (!zt_is_any(ZT_NUMBER_DEAD))
		zt_wake_reader();
	zt_count(ZT_NUMBER_DEAD, 1);
	zt_count(ZT_NUMBER_ALIVE, -1);
	zt_note_start(&key);
	return zt_is_kept(lifetime);
}

static __always_inline void zt_emit_exit(const void *task, bool group_dead)
{
	const void *leader = task_struct__group_leader(task);
	struct zt_lifetime *lifetime = zt_folded(leader);
	struct zt_event *e;

	if (group_dead) {
		const void *pid = task_struct__thread_pid(leader);
		const void *ns = pid ? zt_innermost_ns(pid, pid__level(pid)) : NULL;

		if (lifetime && zt_fold_exit(lifetime, task, leader))
			return;
		if (ns && pid__level(pid) &&
		    task_struct__group_leader(pid_namespace__child_reaper(ns)) == leader)
			zt_begin_stop(ns, ZT_TEARDOWN_LASTS_NS);
		/* Several threads may see that none is left; the first one emits the exit. */
		if (!zt_track(leader, true))
			return;
	} else {
		/* A thread ends and the process goes on: only a leader's exit is emitted. */
		if (task != leader || zt_leader_is_replaced(leader))
			return;
		/* Another leader of the same process has another address. */
		if (!zt_is_first(ZT_KIND_EXIT, task_struct__tgid(leader),
				 task_struct__start_boottime(leader) ^ (u64)leader))
			return;
	}

	zt_open_up(leader);
	if (group_dead)
		zt_open_children(task);
	e = zt_reserve(ZT_KIND_EXIT);
	if (!e)
		return;
	zt_fill_current(e, zt_fill_subject(e, task));
	/* live may fall to 0 in the meantime; group_dead is what counts. */
	if (group_dead)
		e->flags |= ZT_F_GROUP_DEAD;
	else
		e->flags &= ~ZT_F_GROUP_DEAD;
	e->pdeath_signal = task_struct__pdeath_signal(leader);
	zt_events.ringbuf_submit(e, 0);
}

/*
 * The sender of a signal may exit a moment later, so its command line is read at its
 * exec. At each drain user space sets how many execs it would read before the next
 * drain; in a storm that is a negligible share.
 */
static __always_inline void zt_hint_exec(const void *task)
{
	struct zt_event *e;

	if (!zt_is_any(ZT_NUMBER_HINTS))
		return;
	zt_count(ZT_NUMBER_HINTS, -1);
	e = zt_uneventful.ringbuf_reserve(sizeof(struct zt_event));
	if (!e)
		return;
	zt_clear(e, ZT_KIND_EXEC);
	zt_fill_current(e, zt_fill_subject(e, task));
	e->flags |= ZT_F_FOLDED;
	zt_uneventful.ringbuf_submit(e, 0);
}

static __always_inline void zt_emit_exec(const void *task)
{
	/* A process's execs are counted; its children count on from there. */
	u64 id = task_struct__start_boottime(task) + task_struct__self_exec_id(task);
	const void *leader = task_struct__group_leader(task);
	struct zt_lifetime *lifetime;

	if (!zt_is_first(ZT_KIND_EXEC, task_struct__tgid(task), id))
		return;
	lifetime = zt_folded(leader);
	if (lifetime) {
		zt_rename_lifetime(&lifetime->so_far, leader);
		__builtin_memcpy(lifetime->so_far.chain_comm[0], lifetime->so_far.comm,
				 ZT_COMM_LEN);
		lifetime->so_far.exec_ns = bpf_ktime_get_boot_ns();
		if (zt_is_kept(lifetime)) {
			zt_hint_exec(task);
			return;
		}
	}
	zt_emit(ZT_KIND_EXEC, task);
}

#endif
