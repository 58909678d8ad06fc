/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Dead processes that the parent has still to reap. What is said of them later
 * (their release, an adoption) comes when the task_struct no longer tells whose
 * they were.
 */
#ifndef ZT_TRACKED_H
#define ZT_TRACKED_H

/*
 * What has been told already, where two hooks may tell it. The second one comes
 * microseconds after the first, in the same thread: what is thrown out of a full
 * map by then is older.
 */
struct zt_told {
	u64 id;
	u32 host_pid;
	u32 kind;
};

BPF_TABLE("lru_hash", struct zt_told, u8, zt_told, 4096);

static __always_inline bool zt_is_first(u32 kind, u32 host_pid, u64 id)
{
	struct zt_told told = { .id = id, .host_pid = host_pid, .kind = kind };
	u8 yes = 1;

	return zt_told.insert(&told, &yes) != -ZT_EEXIST;
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
 * Their starts, by number: an adoption names the zombie by its number. An array
 * costs a twentieth of a hash, and nothing need be taken out of it, as what it says
 * is looked up in zt_tracked. Numbers that are so far apart share a place; of who
 * lost it user space knows by its number alone.
 */
#define ZT_TRACKED_PIDS 131072
BPF_ARRAY(zt_tracked_starts, u64, ZT_TRACKED_PIDS);

/* At least so many are followed: what user space takes out is not subtracted. */
BPF_ARRAY(zt_following, u64, 1);

static __always_inline void zt_count_followed(u64 more)
{
	u32 only = 0;
	u64 *number = zt_following.lookup(&only);

	if (number)
		__sync_fetch_and_add(number, more);
}

static __always_inline bool zt_follows_any(void)
{
	u32 only = 0;
	u64 *number = zt_following.lookup(&only);

	return number && *number;
}

static __always_inline u64 *zt_tracked_start(u32 host_pid)
{
	u32 place = host_pid & (ZT_TRACKED_PIDS - 1);

	return zt_tracked_starts.lookup(&place);
}

/* The start of the dead process with this number, or 0. */
static __always_inline u64 zt_start_of_dead(u32 host_pid)
{
	struct zt_tracked_key key = { .host_pid = host_pid };
	u64 *start_boot_ns = zt_tracked_start(host_pid);

	if (!start_boot_ns)
		return 0;
	key.start_boot_ns = *start_boot_ns;
	return zt_tracked.lookup(&key) ? key.start_boot_ns : 0;
}

/*
 * Begin to follow a process whose last thread ends or has ended. Returns false
 * where its exit has been told already.
 */
static __always_inline bool zt_track(const void *leader, bool exit_seen)
{
	const void *pid = task_struct__thread_pid(leader);
	struct zt_tracked_key key = {};
	struct zt_tracked tracked = {};
	struct zt_tracked *known;
	u64 *start_boot_ns;
	const void *ns;

	key.start_boot_ns = task_struct__start_boottime(leader);
	key.host_pid = task_struct__tgid(leader);
	known = zt_tracked.lookup(&key);
	if (known) {
		bool told = known->exit_seen;

		if (exit_seen)
			known->exit_seen = 1;
		return !told;
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
		zt_count_followed(1);
		break;
	case -ZT_EEXIST:
		/* Another thread of it was faster, or the iterator, which tells no exit. */
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
	start_boot_ns = zt_tracked_start(key.host_pid);
	if (start_boot_ns)
		*start_boot_ns = key.start_boot_ns;
	return true;
}

/*
 * Whoever gets true is the one to tell of the release: user space may have found
 * out by itself.
 */
static __always_inline bool zt_untrack(struct zt_tracked_key *key)
{
	if (zt_tracked.delete(key))
		return false;
	zt_count_followed(-1);
	return true;
}

#endif
