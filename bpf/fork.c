/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Hook:    raw tracepoint sched_wakeup_new
 * Where:   wake_up_new_task(), before the child runs; current called clone. The
 *          run queue is locked, so no other task forks on this CPU meanwhile:
 *          sched_process_fork, just before, can be preempted since 7.0, and a task
 *          that forks then runs no program
 * Since:   ever
 * Cost:    two reads per new thread, one filter check per new process, one
 *          insertion per lifetime that is folded
 * Unseen:  nothing. current is the caller, which with CLONE_PARENT is not the process
 *          that must reap: real_parent is read
 */
int zt_fork(struct bpf_raw_tracepoint_args *ctx)
{
	const void *child = (const void *)ctx->args[0];
	const struct zt_config *config = zt_get_config();

	if (!config || task_struct__pid(child) != task_struct__tgid(child))
		return 0;
	if (!zt_task_wanted(config, child))
		return 0;
	if (config->folds == ZT_FOLD && zt_fold_birth(child))
		return 0;
	zt_open_dead(task_struct__tgid(child));
	zt_open_up(task_struct__real_parent(child));
	zt_emit(ZT_KIND_FORK, child);
	return 0;
}
