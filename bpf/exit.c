/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Hook:    raw tracepoint sched_process_exit
 * Where:   do_exit(), every thread; current is the thread that ends
 * Since:   ever; with a second argument group_dead where BTF shows one (then
 *          before the memory is given back, else after)
 * Cost:    one filter check per thread that ends, one record per process
 * Unseen:  how long the way to the zombie is from here (2 GiB of memory take
 *          150 ms): the exit notification shows it
 */
int zt_exit(struct bpf_raw_tracepoint_args *ctx)
{
	const void *task = (const void *)ctx->args[0];
	const struct zt_config *config = zt_get_config();

	if (!config || !zt_task_wanted(config, task))
		return 0;
#if ZT_EXIT_HAS_GROUP_DEAD
	zt_emit_exit(task, ctx->args[1] & 1);
#else
	zt_emit_exit(task, zt_live(task) == 0);
#endif
	return 0;
}
