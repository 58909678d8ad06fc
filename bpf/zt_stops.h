/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Namespaces whose stop has begun: no lifetime is folded in them. More counts as a
 * beginning here than user space calls a stop; that costs only records.
 */
#ifndef ZT_STOPS_H
#define ZT_STOPS_H

/* An init that is alive this long after a signal has survived it. */
#define ZT_STOP_LASTS_NS 61000000000ULL
/* A teardown has no time limit. */
#define ZT_TEARDOWN_LASTS_NS (1ULL << 60)

struct zt_stop_key {
	u64 init_start_boot_ns;
	u32 pidns_inum;
	u32 pad;
};

/* When each is over. */
BPF_TABLE("lru_hash", struct zt_stop_key, u64, zt_stops, 1024);

static __always_inline struct zt_stop_key zt_stop_key_of(const void *ns)
{
	struct zt_stop_key key = {};

	key.pidns_inum = pid_namespace__ns_inum(ns);
	key.init_start_boot_ns = task_struct__start_boottime(
		task_struct__group_leader(pid_namespace__child_reaper(ns)));
	return key;
}

/* The stop or the teardown of a namespace below the host's begins. */
static __always_inline void zt_begin_stop(const void *ns, u64 lasts_ns)
{
	struct zt_stop_key key = zt_stop_key_of(ns);
	u64 until_ns = bpf_ktime_get_boot_ns() + lasts_ns;

	zt_stops.update(&key, &until_ns);
	zt_count(ZT_NUMBER_STOPS, 1);
}

/* Whether a namespace that the task is in is being stopped. */
static __always_inline bool zt_in_stop(const void *task)
{
	const void *pid = task_struct__thread_pid(task);
	u64 now_ns = bpf_ktime_get_boot_ns();
	u32 level, i;

	if (!zt_is_any(ZT_NUMBER_STOPS) || !pid)
		return false;
	level = pid__level(pid);
#pragma clang loop unroll(disable)
	for (i = 1; i < ZT_PIDNS_LEVELS; i++) {
		struct zt_stop_key key;
		u64 *until_ns;

		ZT_OPAQUE(i);
		if (i > level)
			break;
		key = zt_stop_key_of((const void *)upid__ns(zt_upid(pid, i)));
		until_ns = zt_stops.lookup(&key);
		if (until_ns && *until_ns >= now_ns)
			return true;
	}
	return false;
}

#endif
