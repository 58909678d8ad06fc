/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The maps that user space uses too. Sizes come from the loader (-D).
 */
#ifndef ZT_MAPS_H
#define ZT_MAPS_H

/* What to let through; one element, written by user space. */
struct zt_config {
	u32 everything;
	u32 n_pidns;
	u32 n_cgroups;
	u32 lists; /* ZT_LIST_*: what the iterator is for */
	u64 min_zombie_ns;
	u64 listed_ns; /* when the last finished pass of ZT_LIST_DEAD began */
	u32 folds;     /* ZT_FOLD_* */
	u32 pad;
};

#define ZT_LIST_ALL 0	  /* every process */
#define ZT_LIST_DEAD 1	  /* the dead that are followed */
#define ZT_LIST_STOPPED 2 /* folded lifetimes in a namespace whose stop has begun */
#define ZT_LIST_FOLDED 3  /* all folded lifetimes */

#define ZT_FOLD_NEVER 0
#define ZT_FOLD_NO_MORE 1 /* those that are folded stay so */
#define ZT_FOLD 2

/* Two rings: deaths, kills and all other events with their own record, and uneventful
 * lifetimes, so that a storm of the latter does not push out the former. */
BPF_RINGBUF_OUTPUT(zt_events, ZT_RING_PAGES);
BPF_RINGBUF_OUTPUT(zt_uneventful, ZT_RING_PAGES);
/*
 * User space maps what it reads and writes all the time: a system call on a map keeps
 * every BPF program off its CPU, and can be preempted meanwhile.
 */
#define ZT_MMAPABLE 1024 /* BPF_F_MMAPABLE, since 5.5 */
BPF_F_TABLE("array", u32, struct zt_config, zt_config, 1, ZT_MMAPABLE);
BPF_F_TABLE("hash", u32, u32, zt_pidns, 1024, ZT_NO_PREALLOC);
BPF_F_TABLE("hash", u64, u32, zt_cgroups, 1024, ZT_NO_PREALLOC);

/* Records of each kind that found no room; user space reads and subtracts them. */
BPF_F_TABLE("array", u32, u64, zt_drops, ZT_KIND_COUNT, ZT_MMAPABLE);

static __always_inline void zt_count_drop(u32 kind)
{
	u64 *count = zt_drops.lookup(&kind);

	if (count)
		__sync_fetch_and_add(count, 1);
}

#endif
