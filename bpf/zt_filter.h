/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The filter. Runs first in every hook: processes outside the target must cost the
 * host as little as possible.
 */
#ifndef ZT_FILTER_H
#define ZT_FILTER_H

static __always_inline const struct zt_config *zt_get_config(void)
{
	int zero = 0;

	return zt_config.lookup(&zero);
}

static __always_inline bool zt_pidns_wanted(const void *pid)
{
	u32 level = pid__level(pid);
	u32 i;

#pragma clang loop unroll(disable)
	for (i = 0; i < ZT_PIDNS_LEVELS; i++) {
		u32 inum;

		ZT_OPAQUE(i);
		if (i > level)
			break;
		inum = pid_namespace__ns_inum((const void *)upid__ns(zt_upid(pid, i)));
		if (zt_pidns.lookup(&inum))
			return true;
	}
	return false;
}

static __always_inline bool zt_cgroup_wanted(const void *task)
{
	const void *cgroup = zt_cgroup(task);
	u32 level;
	u32 i;
	u64 id;

	if (!cgroup)
		return false;
	id = kernfs_node__id(cgroup__kn(cgroup));
	if (zt_cgroups.lookup(&id))
		return true;
	level = cgroup__level(cgroup);
#pragma clang loop unroll(disable)
	for (i = 0; i < ZT_CGROUP_LEVELS; i++) {
		ZT_OPAQUE(i);
		if (i >= level)
			break;
#if ZT_HAS_cgroup__ancestors
		const void *ancestor = NULL;

		bpf_probe_read_kernel(&ancestor, sizeof(ancestor),
				      cgroup + ZT_OFF_cgroup__ancestors + i * 8);
		id = kernfs_node__id(cgroup__kn(ancestor));
#else
		bpf_probe_read_kernel(&id, sizeof(id),
				      cgroup + ZT_OFF_cgroup__ancestor_ids + i * 8);
#endif
		if (zt_cgroups.lookup(&id))
			return true;
	}
	return false;
}

static __always_inline bool zt_task_wanted(const struct zt_config *config, const void *task)
{
	const void *pid;

	if (config->everything)
		return true;
	pid = task_struct__thread_pid(task);
	if (config->n_pidns && pid && zt_pidns_wanted(pid))
		return true;
	return config->n_cgroups && zt_cgroup_wanted(task);
}

#endif
