/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Hook:    kprobe zap_pid_ns_processes
 * Where:   a PID namespace is about to be emptied; current is its init's last thread
 * Since:   needs kprobes
 * Cost:    none until an init ends
 * Unseen:  nothing
 */
int zt_teardown_begin(void *ctx)
{
	const void *task = (const void *)bpf_get_current_task();
	const struct zt_config *config = zt_get_config();

	if (!config || !zt_task_wanted(config, task))
		return 0;
	zt_emit(ZT_KIND_TEARDOWN_BEGIN, task);
	return 0;
}
