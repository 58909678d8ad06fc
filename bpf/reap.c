/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Hook:    kprobe release_task
 * Where:   the moment a task leaves the process table; current is the parent in
 *          wait(), the dying task itself (its parent does not want the status), the
 *          init of a namespace in teardown, or a dying parent where the new parent
 *          ignores SIGCHLD
 * Since:   needs kprobes
 * Cost:    one filter check per thread that ends, one record per process
 * Unseen:  a leader that its last thread releases: a loop inside release_task
 *          without a second entry; sched_process_free reports it
 */
int zt_reap(void *ctx)
{
	const void *task = (const void *)ZT_KPROBE_ARG1(ctx);
	const void *cur = (const void *)bpf_get_current_task();
	const struct zt_config *config = zt_get_config();
	struct zt_tracked_key key;
	struct zt_lifetime *lifetime;
	struct zt_event *e;

	if (!config || task_struct__pid(task) != task_struct__tgid(task))
		return 0;
	key = zt_key_of(task);
	lifetime = zt_find_lifetime(&key);
	if (lifetime && !lifetime->opened && zt_was_waited_for(lifetime, task) &&
	    zt_is_recent(config, lifetime) && zt_is_forker(lifetime, cur) &&
	    !(task_struct__flags(cur) & ZT_PF_EXITING)) {
		zt_close_lifetime(lifetime, &key, task, ZT_F_EXACT);
		return 0;
	}
	if (!zt_task_wanted(config, task))
		return 0;
	zt_open_up(task);
	zt_emit(ZT_KIND_REAP, task);
	return 0;
}
