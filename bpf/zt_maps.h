/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The maps both sides know. Sizes come from the loader (-D).
 */
#ifndef ZT_MAPS_H
#define ZT_MAPS_H

/* What to let through; one element, written by user space. */
struct zt_config {
	u32 everything;
	u32 n_pidns;
	u32 n_cgroups;
	u32 dead_only; /* for the iterator: list the dead that are followed */
};

BPF_RINGBUF_OUTPUT(zt_events, ZT_RING_PAGES);
/*
 * What user space reads and writes all the time it maps: a system call on a map
 * keeps every BPF program off its CPU, and can be preempted meanwhile.
 */
#define ZT_MMAPABLE 1024 /* BPF_F_MMAPABLE, since 5.5 */
BPF_F_TABLE("array", u32, struct zt_config, zt_config, 1, ZT_MMAPABLE);
BPF_F_TABLE("hash", u32, u32, zt_pidns, 1024, ZT_NO_PREALLOC);
BPF_F_TABLE("hash", u64, u32, zt_cgroups, 1024, ZT_NO_PREALLOC);

/* Records of each kind that found no room; read and subtracted by user space. */
BPF_F_TABLE("array", u32, u64, zt_drops, ZT_KIND_COUNT, ZT_MMAPABLE);

static __always_inline void zt_count_drop(u32 kind)
{
	u64 *count = zt_drops.lookup(&kind);

	if (count)
		__sync_fetch_and_add(count, 1);
}

#endif
