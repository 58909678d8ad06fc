/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Filling the record: the subject, current, current's ancestors.
 */
#ifndef ZT_RECORD_H
#define ZT_RECORD_H

static __always_inline void zt_clear(struct zt_event *e, u32 kind)
{
	__builtin_memset(e, 0, sizeof(*e));
	e->boot_ns = bpf_ktime_get_boot_ns();
	e->kind = kind;
	e->sys_nr = -1;
	e->action = ZT_ACTION_UNKNOWN;
	e->parent_sigchld = ZT_ACTION_UNKNOWN;
	e->own_sigchld = ZT_ACTION_UNKNOWN;
}

static __always_inline struct zt_event *zt_reserve(u32 kind)
{
	struct zt_event *e = zt_events.ringbuf_reserve(sizeof(struct zt_event));

	if (!e) {
		zt_count_drop(kind);
		return NULL;
	}
	zt_clear(e, kind);
	return e;
}

/* TERM, INT, QUIT and HUP ask for an end; KILL, STOP and CONT cannot be handled. */
#define ZT_WEIGHTY_SIGNALS                                                                 \
	(1ULL << ZT_SIGHUP | 1ULL << ZT_SIGINT | 1ULL << ZT_SIGQUIT | 1ULL << ZT_SIGKILL | \
	 1ULL << ZT_SIGTERM | 1ULL << ZT_SIGCONT | 1ULL << ZT_SIGSTOP)

/*
 * Reserves a record of a signal. Other signals that are handled or ignored leave the
 * last eighth of the ring to deaths, kills and reaps: whoever sends signals as fast as
 * it can loses records of those alone.
 */
static __always_inline struct zt_event *zt_reserve_signal(u32 kind, int sig, u64 handler)
{
	bool kills = handler == 0 && !((ZT_HARMLESS_SIGNALS >> (sig & 63)) & 1);

	if (kills || handler == ~0ULL || (ZT_WEIGHTY_SIGNALS >> (sig & 63)) & 1)
		return zt_reserve(kind);
	if (!zt_is_any(ZT_NUMBER_SIGNALS)) {
		zt_count_drop(kind);
		return NULL;
	}
	zt_count(ZT_NUMBER_SIGNALS, -1);
	return zt_reserve(kind);
}

/* Namespace facts; nothing of this is left once release_task has run. */
static __always_inline const void *zt_fill_pidns(struct zt_event *e, const void *leader)
{
	const void *pid = task_struct__thread_pid(leader);
	const void *ns, *reaper;

	if (!pid)
		return NULL;
	e->pidns_level = pid__level(pid);
	e->ns_pid = upid__nr(zt_upid(pid, e->pidns_level));
	ns = zt_innermost_ns(pid, e->pidns_level);
	e->pidns_inum = pid_namespace__ns_inum(ns);
	reaper = task_struct__group_leader(pid_namespace__child_reaper(ns));
	e->init_start_boot_ns = task_struct__start_boottime(reaper);
	if (reaper == leader)
		e->flags |= ZT_F_INIT;
	return ns;
}

static __always_inline void zt_fill_parent(struct zt_event *e, const void *leader)
{
	const void *parent = task_struct__group_leader(task_struct__real_parent(leader));
	const void *pid = task_struct__thread_pid(parent);
	struct zt_action action = zt_action_of(parent, ZT_SIGCHLD);

	e->parent_host_pid = task_struct__tgid(parent);
	e->parent_start_boot_ns = task_struct__start_boottime(parent);
	zt_read_comm(e->parent_comm, parent);
	if (pid)
		e->parent_pidns_inum =
			pid_namespace__ns_inum(zt_innermost_ns(pid, pid__level(pid)));
	e->parent_sigchld = zt_action_kind(action.handler);
	if (action.flags & ZT_SA_NOCLDWAIT)
		e->flags |= ZT_F_NOCLDWAIT;
}

/*
 * The subject: task's process. Returns its innermost namespace, or NULL where
 * the task has been released.
 */
static __always_inline const void *zt_fill_subject(struct zt_event *e, const void *task)
{
	const void *leader = task_struct__group_leader(task);
	const void *signal = task_struct__signal(leader);
	u32 signal_flags = signal_struct__flags(signal);

	e->host_pid = task_struct__tgid(task);
	e->host_tid = task_struct__pid(task);
	e->start_boot_ns = task_struct__start_boottime(leader);
	e->live_threads = signal_struct__live_counter(signal);
	e->exit_state = task_struct__exit_state(leader);
	e->exit_code = zt_wait_status(leader, signal);
	e->exit_signal = task_struct__exit_signal(leader);
	e->cgroup_id = zt_cgroup_id(leader);
	zt_read_comm(e->comm, leader);
	if (signal_flags & ZT_SIGNAL_GROUP_EXIT)
		e->flags |= ZT_F_GROUP_EXIT;
	if (signal_flags & ZT_SIGNAL_UNKILLABLE)
		e->flags |= ZT_F_UNKILLABLE;
	if (e->live_threads == 0)
		e->flags |= ZT_F_GROUP_DEAD;
	if (task_struct__ptrace(leader)) {
		e->flags |= ZT_F_PTRACED;
		e->tracer_host_pid = task_struct__tgid(task_struct__parent(leader));
	}
	zt_fill_parent(e, leader);
	return zt_fill_pidns(e, leader);
}

/* Current, as the subject's namespace (e->pidns_level, ns) sees it. */
static __always_inline void zt_fill_current(struct zt_event *e, const void *ns)
{
	const void *task = (const void *)bpf_get_current_task();
	const void *leader = task_struct__group_leader(task);
	u32 task_flags = task_struct__flags(task);

	e->cur_host_pid = task_struct__tgid(task);
	e->cur_host_tid = task_struct__pid(task);
	e->cur_start_boot_ns = task_struct__start_boottime(leader);
	e->cur_ns_pid = zt_number_in(leader, e->pidns_level, ns);
	e->sys_nr = zt_syscall(task, task_flags);
	zt_read_comm(e->cur_comm, leader);
	if (task_flags & ZT_PF_EXITING)
		e->flags |= ZT_F_CUR_EXITING;
	if (task_flags & ZT_PF_KTHREAD)
		e->flags |= ZT_F_CUR_KTHREAD;
	else if (zt_in_compat_syscall(task))
		e->flags |= ZT_F_CUR_COMPAT;
	if (e->cur_host_pid == e->host_pid)
		e->flags |= ZT_F_CUR_SELF;
}

/* The real user: of a set-user-ID program still the one who started it. */
static __always_inline void zt_fill_current_uid(struct zt_event *e)
{
	const void *cred = task_struct__cred((const void *)bpf_get_current_task());

	if (!cred)
		return;
	e->cur_uid = cred__uid_val(cred);
	e->flags |= ZT_F_CUR_UID;
}

/* Whether current's process is the init of a namespace the task is in. */
static __always_inline bool zt_current_reaps(const void *task)
{
	const void *signal = task_struct__signal((const void *)bpf_get_current_task());
	const void *pid = task_struct__thread_pid(task);
	u32 level = pid ? pid__level(pid) : 0;
	u32 i;

#pragma clang loop unroll(disable)
	for (i = 0; i < ZT_PIDNS_LEVELS; i++) {
		const void *ns;

		ZT_OPAQUE(i);
		if (!pid || i > level)
			break;
		ns = (const void *)upid__ns(zt_upid(pid, i));
		if (task_struct__signal(pid_namespace__child_reaper(ns)) == signal)
			return true;
	}
	return false;
}

static __always_inline void zt_fill_chain(struct zt_event *e)
{
	const void *task = (const void *)bpf_get_current_task();
	int i;

	task = task_struct__group_leader(task);
#pragma clang loop unroll(full)
	for (i = 0; i < ZT_CHAIN_LEN; i++) {
		const void *parent = task_struct__group_leader(task_struct__real_parent(task));

		/* The idle task is its own parent. */
		if (!parent || parent == task || !task_struct__tgid(parent))
			break;
		zt_read_comm(e->chain_comm[i], parent);
		task = parent;
	}
}

#endif
