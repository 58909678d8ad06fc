/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Hook:    raw tracepoint sched_process_exec
 * Where:   exec_binprm(), the new program is in place; current runs it
 * Since:   ever
 * Cost:    one filter check per exec
 * Unseen:  exec calls that fail
 */
int zt_exec(struct bpf_raw_tracepoint_args *ctx)
{
	const void *task = (const void *)ctx->args[0];
	const struct zt_config *config = zt_get_config();

	if (config && zt_task_wanted(config, task))
		zt_emit_exec(task);
	return 0;
}
