/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Hook:    kprobe __oom_kill_process
 * Where:   the OOM killer has chosen; current asked for the memory
 * Since:   needs kprobes; for kernels whose mark_victim has a bare number
 * Cost:    none until memory runs out
 * Unseen:  victims that were dying already (they are marked, not killed)
 */
int zt_oom_kprobe(void *ctx)
{
	const void *task = (const void *)ZT_KPROBE_ARG1(ctx);
	const struct zt_config *config = zt_get_config();

	if (!config || !zt_task_wanted(config, task))
		return 0;
	zt_open_up(task);
	zt_emit(ZT_KIND_OOM, task);
	return 0;
}
