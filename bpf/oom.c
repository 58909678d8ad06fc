/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Hook:    raw tracepoint mark_victim, with the task as its argument
 * Where:   mark_oom_victim(); current asked for the memory
 * Since:   where BTF shows a task_struct as the first argument
 * Cost:    none until memory runs out
 * Unseen:  processes killed only because they share the victim's memory
 */
int zt_oom(struct bpf_raw_tracepoint_args *ctx)
{
	const void *task = (const void *)ctx->args[0];
	const struct zt_config *config = zt_get_config();

	if (!config || !zt_task_wanted(config, task))
		return 0;
	zt_open_up(task);
	zt_emit(ZT_KIND_OOM, task);
	return 0;
}
