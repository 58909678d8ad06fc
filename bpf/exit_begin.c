/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Hook:    kprobe do_exit
 * Where:   the first thing a thread does when it ends; current is that thread
 * Since:   needs kprobes
 * Cost:    one filter check per thread that ends, one record per process
 * Unseen:  threads that enter at the same moment: none of them is the last one
 *          yet, and there is no record. Folded lifetimes get none either
 */
int zt_exit_begin(void *ctx)
{
	const void *task = (const void *)bpf_get_current_task();
	const struct zt_config *config = zt_get_config();

	if (!config || !zt_task_wanted(config, task) || zt_live(task) != 1)
		return 0;
	if (zt_folded(task_struct__group_leader(task)))
		return 0;
	zt_emit(ZT_KIND_EXIT_BEGIN, task);
	return 0;
}
