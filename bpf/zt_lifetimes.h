/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Folded lifetimes. A process that is forked, exits normally and is reaped at once by
 * its forker has an uneventful lifetime: it takes one record, a LIFETIME, when it is
 * over. Until then the hooks write into this table and emit nothing. Anything else
 * that happens opens the lifetime: what is known so far is emitted, and from then on
 * each event has a record of its own.
 *
 * Two hooks may use one lifetime at the same time. A writer writes, then checks whether
 * the lifetime was opened meanwhile, and if so emits its event as well; a hook that opens
 * a lifetime marks it first and copies it afterwards. So at least one has seen the
 * other, and a fact emitted twice does no harm. An entry, opened or not, stays until its
 * process is released: no hook ever writes into the entry of another process.
 */
#ifndef ZT_LIFETIMES_H
#define ZT_LIFETIMES_H

struct zt_lifetime {
	struct zt_event so_far;
	u64 opened;
	u64 touched; /* changed with a full barrier between a write and a look */
	u64 unsent;  /* opened by the iterator, which had no room for it yet */
	u64 seen_ns; /* when the iterator last found it dead */
};

/*
 * All memory is allocated in advance: the fork hook runs under the run queue's lock,
 * and an allocator may need to wake a task.
 */
BPF_TABLE("hash", struct zt_tracked_key, struct zt_lifetime, zt_lifetimes, ZT_LIFETIMES_MAX);

/* Does not fit on the stack. Only the fork hook uses it, which is never preempted. */
BPF_PERCPU_ARRAY(zt_newborn, struct zt_lifetime, 1);

/* A parent is opened with its child, and so are its own ancestors, up to this many. */
#define ZT_OPENED_ANCESTORS 6
/* A dying parent opens this many children at once; the others are opened by their own events. */
#define ZT_OPENED_CHILDREN 16

static __always_inline struct zt_lifetime *zt_find_lifetime(struct zt_tracked_key *key)
{
	if (!zt_is_any(ZT_NUMBER_FOLDED))
		return NULL;
	return zt_lifetimes.lookup(key);
}

static __always_inline struct zt_tracked_key zt_key_of(const void *leader)
{
	struct zt_tracked_key key = {};

	key.start_boot_ns = task_struct__start_boottime(leader);
	key.host_pid = task_struct__tgid(leader);
	return key;
}

/* The folded lifetime of a process, or NULL: never begun, or opened. */
static __always_inline struct zt_lifetime *zt_folded(const void *leader)
{
	struct zt_tracked_key key = zt_key_of(leader);
	struct zt_lifetime *lifetime = zt_find_lifetime(&key);

	return lifetime && !lifetime->opened ? lifetime : NULL;
}

/* After a write: whether the lifetime is still folded, so that the write is not lost. */
static __always_inline bool zt_is_kept(struct zt_lifetime *lifetime)
{
	__sync_fetch_and_add(&lifetime->touched, 1);
	return !*(volatile u64 *)&lifetime->opened;
}

static __always_inline void zt_count_lifetime_drop(const struct zt_lifetime *lifetime)
{
	zt_count_drop(ZT_KIND_FORK);
	if (lifetime->so_far.exec_ns)
		zt_count_drop(ZT_KIND_EXEC);
	if (lifetime->so_far.exit_ns)
		zt_count_drop(ZT_KIND_EXIT);
	if (lifetime->so_far.notified_ns)
		zt_count_drop(ZT_KIND_SIGNAL);
}

/* From here on its release gets a record of its own, with what is known of the process. */
static __always_inline void zt_follow(const struct zt_lifetime *lifetime)
{
	struct zt_tracked_key key = {};
	struct zt_tracked tracked = {};

	key.start_boot_ns = lifetime->so_far.start_boot_ns;
	key.host_pid = lifetime->so_far.host_pid;
	tracked.init_start_boot_ns = lifetime->so_far.init_start_boot_ns;
	tracked.cgroup_id = lifetime->so_far.cgroup_id;
	tracked.ns_pid = lifetime->so_far.ns_pid;
	tracked.pidns_inum = lifetime->so_far.pidns_inum;
	tracked.pidns_level = lifetime->so_far.pidns_level;
	tracked.exit_seen = 1;
	if (lifetime->so_far.exit_ns)
		zt_count(ZT_NUMBER_DEAD, -1);
	if (zt_tracked.insert(&key, &tracked) == 0)
		zt_count(ZT_NUMBER_FOLLOWED, 1);
}

static __always_inline bool zt_is_forker(const struct zt_lifetime *lifetime, const void *task)
{
	const void *leader = task_struct__group_leader(task);

	return task_struct__tgid(leader) == lifetime->so_far.parent_host_pid &&
	       task_struct__start_boottime(leader) == lifetime->so_far.parent_start_boot_ns;
}

/* The forker may have another name by now; NULL where the task is not at hand. */
static __always_inline void zt_rename_forker(struct zt_event *e, const struct zt_lifetime *lifetime,
					     const void *leader)
{
	const void *parent;

	if (!leader)
		return;
	parent = task_struct__group_leader(task_struct__real_parent(leader));
	if (!zt_is_forker(lifetime, parent))
		return;
	__builtin_memset(e->parent_comm, 0, ZT_COMM_LEN);
	zt_read_comm(e->parent_comm, parent);
}

/* Copies a lifetime that is marked as opened. */
static __always_inline void zt_copy_lifetime(struct zt_event *e, struct zt_lifetime *lifetime,
					     const void *leader, u64 boot_ns)
{
	bpf_probe_read_kernel(e, sizeof(*e), &lifetime->so_far);
	e->boot_ns = boot_ns;
	zt_rename_forker(e, lifetime, leader);
}

static __always_inline void zt_mark_opened(struct zt_lifetime *lifetime)
{
	__sync_fetch_and_add(&lifetime->opened, 1);
	if (lifetime->so_far.exit_ns)
		zt_follow(lifetime);
	else
		zt_count(ZT_NUMBER_ALIVE, -1);
}

static __always_inline void zt_open_lifetime(struct zt_lifetime *lifetime, const void *leader,
					     u64 boot_ns)
{
	/* Before it is marked: a hook that sees the mark emits its own event after this one. */
	struct zt_event *e = zt_events.ringbuf_reserve(sizeof(struct zt_event));

	zt_mark_opened(lifetime);
	if (!e) {
		zt_count_lifetime_drop(lifetime);
		return;
	}
	zt_copy_lifetime(e, lifetime, leader, boot_ns);
	zt_events.ringbuf_submit(e, 0);
}

/*
 * Before an event of a process is emitted: emits its lifetime so far, and those of its
 * ancestors. Each is dated a nanosecond before its child's.
 */
static __always_inline void zt_open_up(const void *task)
{
	const void *leader = task_struct__group_leader(task);
	u64 now_ns = bpf_ktime_get_boot_ns();
	u32 i;

#pragma clang loop unroll(disable)
	for (i = 0; i < ZT_OPENED_ANCESTORS; i++) {
		struct zt_lifetime *lifetime = zt_folded(leader);

		ZT_OPAQUE(i);
		if (!lifetime)
			break;
		zt_open_lifetime(lifetime, leader, now_ns - i);
		leader = task_struct__group_leader(task_struct__real_parent(leader));
	}
}

/* A parent dies: its children get a new parent. */
static __always_inline void zt_open_children(const void *parent)
{
	const void *head = parent + ZT_OFF_task_struct__children;
	const void *link = NULL;
	u64 now_ns = bpf_ktime_get_boot_ns();
	u32 i;

	bpf_probe_read_kernel(&link, sizeof(link), head);
#pragma clang loop unroll(disable)
	for (i = 0; i < ZT_OPENED_CHILDREN; i++) {
		struct zt_lifetime *lifetime;

		ZT_OPAQUE(i);
		if (!link || link == head)
			break;
		lifetime = zt_folded(link - ZT_OFF_task_struct__sibling);
		if (lifetime)
			zt_open_lifetime(lifetime, link - ZT_OFF_task_struct__sibling, now_ns);
		bpf_probe_read_kernel(&link, sizeof(link), link);
	}
}

static __always_inline bool zt_has_children(const void *task)
{
	const void *head = task + ZT_OFF_task_struct__children;
	const void *link = NULL;

	bpf_probe_read_kernel(&link, sizeof(link), head);
	return link && link != head;
}

/* The start of the dead process with this number, or 0. */
static __always_inline u64 zt_start_of_dead(u32 host_pid)
{
	struct zt_tracked_key key = { .host_pid = host_pid };
	u64 *start_boot_ns = zt_tracked_start(host_pid);
	struct zt_lifetime *lifetime;

	if (!start_boot_ns)
		return 0;
	key.start_boot_ns = *start_boot_ns;
	if (zt_tracked.lookup(&key))
		return key.start_boot_ns;
	lifetime = zt_find_lifetime(&key);
	return lifetime && lifetime->so_far.exit_ns ? key.start_boot_ns : 0;
}

/* Where the task is not at hand: opens its forker first. */
static __always_inline void zt_open_forker(const struct zt_lifetime *lifetime)
{
	struct zt_tracked_key key = {};
	struct zt_lifetime *parent;

	key.start_boot_ns = lifetime->so_far.parent_start_boot_ns;
	key.host_pid = lifetime->so_far.parent_host_pid;
	parent = zt_find_lifetime(&key);
	if (parent && !parent->opened)
		zt_open_lifetime(parent, NULL, bpf_ktime_get_boot_ns());
}

/* Opens the folded lifetime of the dead process with this number. */
static __always_inline void zt_open_dead(u32 host_pid)
{
	struct zt_tracked_key key = { .host_pid = host_pid };
	struct zt_lifetime *lifetime;

	key.start_boot_ns = zt_start_of_dead(host_pid);
	if (!key.start_boot_ns)
		return;
	lifetime = zt_find_lifetime(&key);
	if (lifetime && !lifetime->opened) {
		zt_open_forker(lifetime);
		zt_open_lifetime(lifetime, NULL, bpf_ktime_get_boot_ns());
	}
}

/*
 * Whether a lifetime may begin folded, by what is known at the fork. Where the release
 * of this number's last owner has no record yet, the fork shows that it is over.
 */
static __always_inline bool zt_is_born_uneventful(const struct zt_event *e, const void *child)
{
	return e->pidns_inum && e->init_start_boot_ns && e->pidns_inum == e->parent_pidns_inum &&
	       e->exit_signal == ZT_SIGCHLD && e->cur_host_pid == e->parent_host_pid &&
	       e->cur_start_boot_ns == e->parent_start_boot_ns &&
	       !(e->flags & (ZT_F_INIT | ZT_F_UNKILLABLE | ZT_F_PTRACED | ZT_F_NOCLDWAIT)) &&
	       e->parent_sigchld != ZT_ACTION_IGNORE && !zt_start_of_dead(e->host_pid) &&
	       !zt_in_stop(child);
}

/* Begins the lifetime of a traced process. False where the fork needs its own record. */
static __always_inline bool zt_fold_birth(const void *child)
{
	struct zt_tracked_key key = zt_key_of(child);
	int zero = 0;
	struct zt_lifetime *lifetime = zt_newborn.lookup(&zero);

	if (!lifetime)
		return false;
	zt_clear(&lifetime->so_far, ZT_KIND_LIFETIME);
	lifetime->opened = 0;
	lifetime->touched = 0;
	lifetime->unsent = 0;
	lifetime->seen_ns = 0;
	zt_fill_current(&lifetime->so_far, zt_fill_subject(&lifetime->so_far, child));
	if (!zt_is_born_uneventful(&lifetime->so_far, child))
		return false;
	lifetime->so_far.forked_ns = lifetime->so_far.boot_ns;
	__builtin_memcpy(lifetime->so_far.chain_comm[1], lifetime->so_far.comm, ZT_COMM_LEN);
	if (zt_lifetimes.insert(&key, lifetime))
		return false;
	zt_count(ZT_NUMBER_FOLDED, 1);
	zt_count(ZT_NUMBER_ALIVE, 1);
	return true;
}

static __always_inline void zt_rename_lifetime(struct zt_event *so_far, const void *leader)
{
	__builtin_memset(so_far->comm, 0, ZT_COMM_LEN);
	zt_read_comm(so_far->comm, leader);
}

/* Whether the exit of a process, which happens now, is uneventful. */
static __always_inline bool zt_ends_uneventful(const struct zt_lifetime *lifetime, const void *task,
					       const void *leader)
{
	return (zt_wait_status(leader, task_struct__signal(leader)) & 0x7f) == 0 &&
	       !task_struct__ptrace(leader) && task_struct__exit_signal(leader) == ZT_SIGCHLD &&
	       zt_is_forker(lifetime, task_struct__real_parent(leader)) && !zt_has_children(task) &&
	       !zt_in_stop(leader);
}

/*
 * Whether a dead process, about to be released or just released, had an uneventful
 * lifetime, apart from how long it was a zombie.
 */
static __always_inline bool zt_was_waited_for(const struct zt_lifetime *lifetime,
					      const void *leader)
{
	return lifetime->so_far.exit_ns && lifetime->so_far.notified_ns &&
	       zt_is_forker(lifetime, task_struct__real_parent(leader));
}

static __always_inline bool zt_is_recent(const struct zt_config *config,
					 const struct zt_lifetime *lifetime)
{
	return bpf_ktime_get_boot_ns() - lifetime->so_far.exit_ns < config->min_zombie_ns;
}

/*
 * Whether a process was gone when the iterator last passed, before it could be a zombie
 * for long: where grace periods take seconds, its release is reported that much later.
 */
static __always_inline bool zt_was_gone_early(const struct zt_config *config,
					      const struct zt_lifetime *lifetime)
{
	u64 exit_ns = lifetime->so_far.exit_ns, listed_ns = config->listed_ns;

	return exit_ns < listed_ns && lifetime->seen_ns < listed_ns &&
	       listed_ns - exit_ns < config->min_zombie_ns;
}

/* A first zombie that nothing was emitted for yet: user space has to watch its age. */
static __always_inline void zt_wake_reader(void)
{
	struct zt_event *e = zt_uneventful.ringbuf_reserve(sizeof(struct zt_event));

	if (e)
		zt_uneventful.ringbuf_discard(e, 0);
}

static __always_inline bool zt_take_lifetime(struct zt_tracked_key *key)
{
	if (zt_lifetimes.delete(key))
		return false;
	zt_forget_start(key);
	zt_count(ZT_NUMBER_FOLDED, -1);
	zt_count(ZT_NUMBER_DEAD, -1);
	return true;
}

/* Emits a lifetime that is over; only the one that takes it out of the table does. */
static __always_inline void zt_close_lifetime(struct zt_lifetime *lifetime,
					      struct zt_tracked_key *key, const void *leader,
					      u32 flags)
{
	struct zt_event *e = zt_uneventful.ringbuf_reserve(sizeof(struct zt_event));

	if (!e) {
		if (zt_take_lifetime(key))
			zt_count_drop(ZT_KIND_LIFETIME);
		return;
	}
	bpf_probe_read_kernel(e, sizeof(*e), &lifetime->so_far);
	e->boot_ns = bpf_ktime_get_boot_ns();
	e->flags |= ZT_F_RELEASED | flags;
	zt_rename_forker(e, lifetime, leader);
	if (zt_take_lifetime(key))
		zt_uneventful.ringbuf_submit(e, 0);
	else
		zt_uneventful.ringbuf_discard(e, 0);
}

#endif
