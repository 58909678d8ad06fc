/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Dead processes that are still to be reaped. Their later events (the release, an
 * adoption) come when the task_struct no longer shows which target they belonged to.
 */
#ifndef ZT_TRACKED_H
#define ZT_TRACKED_H

/*
 * Events seen before, where two hooks see the same one. The second hook runs
 * microseconds after the first, in the same thread: what a full map evicts by then is
 * older.
 */
struct zt_event_id {
	u64 id;
	u32 host_pid;
	u32 kind;
};

BPF_TABLE("lru_hash", struct zt_event_id, u8, zt_seen_before, 4096);

static __always_inline bool zt_is_first(u32 kind, u32 host_pid, u64 id)
{
	struct zt_event_id event = { .id = id, .host_pid = host_pid, .kind = kind };
	u8 yes = 1;

	return zt_seen_before.insert(&event, &yes) != -ZT_EEXIST;
}

struct zt_tracked_key {
	u64 start_boot_ns;
	u32 host_pid;
	u32 pad;
};

struct zt_tracked {
	u64 init_start_boot_ns;
	u64 cgroup_id;
	u32 ns_pid;
	u32 pidns_inum;
	u32 pidns_level;
	u32 exit_seen;
};

BPF_F_TABLE("hash", struct zt_tracked_key, struct zt_tracked, zt_tracked, ZT_TRACKED_MAX,
	    ZT_NO_PREALLOC);

/*
 * Their start times, by number: an adoption names the zombie by its number. An array
 * costs a twentieth of a hash, and entries that user space leaves behind do no harm, as
 * each is looked up in the tables. Numbers this far apart share an index; of a process
 * whose entry was overwritten user space knows only the number.
 */
#define ZT_TRACKED_PIDS 131072
BPF_ARRAY(zt_tracked_starts, u64, ZT_TRACKED_PIDS);

/*
 * Upper bounds: entries that user space removes are not subtracted, and what two
 * threads do at the same time may count twice.
 */
#define ZT_NUMBER_FOLLOWED 0 /* dead processes with a record for each event */
#define ZT_NUMBER_FOLDED 1   /* lifetimes in zt_lifetimes, of the living and the dead */
#define ZT_NUMBER_DEAD 2     /* folded lifetimes of dead processes */
#define ZT_NUMBER_STOPS 3    /* stops of namespaces so far */
#define ZT_NUMBER_HINTS 4    /* how many execs of folded lifetimes are still to be emitted */
#define ZT_NUMBER_ALIVE 5    /* folded lifetimes of living processes */
#define ZT_NUMBER_SIGNALS 6  /* how many handled or ignored signals are still to be emitted */
#define ZT_NUMBERS 7
BPF_F_TABLE("array", u32, s64, zt_numbers, ZT_NUMBERS, ZT_MMAPABLE);

static __always_inline void zt_count(u32 which, s64 more)
{
	s64 *number = zt_numbers.lookup(&which);

	if (number)
		__sync_fetch_and_add(number, more);
}

static __always_inline bool zt_is_any(u32 which)
{
	s64 *number = zt_numbers.lookup(&which);

	return number && *number > 0;
}

static __always_inline u64 *zt_tracked_start(u32 host_pid)
{
	u32 index = host_pid & (ZT_TRACKED_PIDS - 1);

	return zt_tracked_starts.lookup(&index);
}

static __always_inline void zt_note_start(const struct zt_tracked_key *key)
{
	u64 *start_boot_ns = zt_tracked_start(key->host_pid);

	if (start_boot_ns)
		*start_boot_ns = key->start_boot_ns;
}

static __always_inline void zt_forget_start(const struct zt_tracked_key *key)
{
	u64 *start_boot_ns = zt_tracked_start(key->host_pid);

	if (start_boot_ns && *start_boot_ns == key->start_boot_ns)
		*start_boot_ns = 0;
}

/*
 * Begins to follow a process whose last thread exits or has exited. Returns false
 * where its exit was emitted before.
 */
static __always_inline bool zt_track(const void *leader, bool exit_seen)
{
	const void *pid = task_struct__thread_pid(leader);
	struct zt_tracked_key key = {};
	struct zt_tracked tracked = {};
	struct zt_tracked *known;
	const void *ns;

	key.start_boot_ns = task_struct__start_boottime(leader);
	key.host_pid = task_struct__tgid(leader);
	known = zt_tracked.lookup(&key);
	if (known) {
		bool seen_before = known->exit_seen;

		if (exit_seen)
			known->exit_seen = 1;
		return !seen_before;
	}
	if (pid) {
		tracked.pidns_level = pid__level(pid);
		ns = zt_innermost_ns(pid, tracked.pidns_level);
		tracked.ns_pid = upid__nr(zt_upid(pid, tracked.pidns_level));
		tracked.pidns_inum = pid_namespace__ns_inum(ns);
		tracked.init_start_boot_ns = task_struct__start_boottime(
			task_struct__group_leader(pid_namespace__child_reaper(ns)));
	}
	tracked.cgroup_id = zt_cgroup_id(leader);
	tracked.exit_seen = exit_seen;
	switch (zt_tracked.insert(&key, &tracked)) {
	case 0:
		zt_count(ZT_NUMBER_FOLLOWED, 1);
		break;
	case -ZT_EEXIST:
		/* Another thread was faster, or the iterator, which emits no exit. */
		known = zt_tracked.lookup(&key);
		if (!exit_seen || (known && known->exit_seen))
			return false;
		if (known)
			known->exit_seen = 1;
		return zt_is_first(ZT_KIND_EXIT, key.host_pid, key.start_boot_ns);
	default: /* no room: its release will not be seen */
		if (exit_seen && !zt_is_first(ZT_KIND_FREE, key.host_pid, key.start_boot_ns))
			return false;
		zt_count_drop(ZT_KIND_FREE);
	}
	zt_note_start(&key);
	return true;
}

/*
 * A caller that gets true emits the release: user space may have found it on its own.
 */
static __always_inline bool zt_untrack(struct zt_tracked_key *key)
{
	if (zt_tracked.delete(key))
		return false;
	zt_forget_start(key);
	zt_count(ZT_NUMBER_FOLLOWED, -1);
	return true;
}

#endif
