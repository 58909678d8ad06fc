/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Repeated signals: the same one, sent again and again by one process to another that
 * handles or ignores it. The first few are emitted, then one a second with the number of
 * those before it. Signals that can kill or stop, signals to an init, and all signals
 * during a stop are always emitted.
 */
#ifndef ZT_REPEATS_H
#define ZT_REPEATS_H

#define ZT_REPEATS_EMITTED 8
#define ZT_REPEATS_NS 1000000000ULL

struct zt_repeat_key {
	u64 start_boot_ns;
	u64 cur_start_boot_ns;
	u32 host_pid;
	u32 cur_host_pid;
	u32 sig;
	u32 pad;
};

/* The last one that was emitted, and those since. */
struct zt_repeat {
	struct zt_event emitted;
	u64 emitted_ns;
	u64 number;	/* of all */
	u64 suppressed; /* since the last one emitted */
	u64 since_ns;	/* the first of those */
	u64 last_ns;	/* the last of those */
};

BPF_TABLE("lru_hash", struct zt_repeat_key, struct zt_repeat, zt_repeats, 4096);
/* A new one does not fit on the stack. It stays empty, so sharing it is safe. */
BPF_PERCPU_ARRAY(zt_no_repeat, struct zt_repeat, 1);

static __always_inline struct zt_repeat_key zt_repeat_key_of(const void *task, const void *cur,
							     int sig)
{
	struct zt_repeat_key key = {};

	key.start_boot_ns = task_struct__start_boottime(task_struct__group_leader(task));
	key.cur_start_boot_ns = task_struct__start_boottime(task_struct__group_leader(cur));
	key.host_pid = task_struct__tgid(task);
	key.cur_host_pid = task_struct__tgid(cur);
	key.sig = sig;
	return key;
}

/* Whether a signal has no effect on its target that is worth a record each time. */
static __always_inline bool zt_is_harmless(const void *task, int sig, u64 handler)
{
	const void *leader = task_struct__group_leader(task);
	const void *pid = task_struct__thread_pid(leader);
	const void *signal = task_struct__signal(leader);
	const void *ns;

	if (sig < 1 || sig > 64 || sig == ZT_SIGKILL || sig == ZT_SIGCONT || sig == ZT_SIGSTOP)
		return false;
	if (handler == 0 && sig != ZT_SIGCHLD && sig != ZT_SIGURG && sig != ZT_SIGWINCH)
		return false;
	if (!pid || handler == ~0ULL || task_struct__ptrace(task))
		return false;
	if (signal_struct__flags(signal) & (ZT_SIGNAL_GROUP_EXIT | ZT_SIGNAL_UNKILLABLE))
		return false;
	ns = zt_innermost_ns(pid, pid__level(pid));
	return task_struct__group_leader(pid_namespace__child_reaper(ns)) != leader &&
	       !zt_in_stop(task);
}

/* Counts a signal. Returns the entry where this one is to be emitted, else NULL. */
static __always_inline struct zt_repeat *zt_count_repeat(struct zt_repeat_key *key)
{
	struct zt_repeat *repeat = zt_repeats.lookup(key);
	u64 now_ns = bpf_ktime_get_boot_ns();
	int zero = 0;

	if (!repeat) {
		struct zt_repeat *none = zt_no_repeat.lookup(&zero);

		if (none)
			zt_repeats.update(key, none);
		repeat = zt_repeats.lookup(key);
		if (!repeat)
			return NULL;
	}
	__sync_fetch_and_add(&repeat->number, 1);
	if (repeat->number <= ZT_REPEATS_EMITTED || now_ns - repeat->emitted_ns >= ZT_REPEATS_NS)
		return repeat;
	if (!repeat->suppressed)
		repeat->since_ns = now_ns;
	repeat->last_ns = now_ns;
	__sync_fetch_and_add(&repeat->suppressed, 1);
	return NULL;
}

/* Stores in a record how many were suppressed since the last one, and keeps a copy. */
static __always_inline void zt_fill_repeats(struct zt_repeat *repeat, struct zt_event *e)
{
	u64 suppressed = repeat->suppressed;

	e->repeats = suppressed;
	e->repeats_since_ns = suppressed ? repeat->since_ns : 0;
	__sync_fetch_and_add(&repeat->suppressed, -suppressed);
	repeat->emitted_ns = e->boot_ns;
	bpf_probe_read_kernel(&repeat->emitted, sizeof(repeat->emitted), e);
}

#endif
