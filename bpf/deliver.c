/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Hook:    raw tracepoint signal_deliver
 * Where:   get_signal(): a thread takes a signal; current is that thread
 * Since:   ever
 * Cost:    one filter check per signal delivered whose default action kills
 * Unseen:  signals taken by sigwait() or a signalfd
 */
int zt_deliver(struct bpf_raw_tracepoint_args *ctx)
{
	int sig = (int)ctx->args[0];
	u64 info = ctx->args[1];
	const void *action = (const void *)ctx->args[2];
	const void *task = (const void *)bpf_get_current_task();
	const struct zt_config *config;
	u64 handler;
	struct zt_event *e;

	if ((ZT_HARMLESS_SIGNALS >> (sig & 63)) & 1)
		return 0;
	config = zt_get_config();
	if (!config || !zt_task_wanted(config, task))
		return 0;
	zt_open_up(task);
	handler = k_sigaction__sa_sa_handler(action);
	e = zt_reserve_signal(ZT_KIND_DELIVER, sig, handler);
	if (!e)
		return 0;
	zt_fill_current(e, zt_fill_subject(e, task));
	e->sig = sig;
	e->info = info > 1 ? ZT_INFO_POINTER : (u8)info;
	if (info > 1) {
		e->si_code = kernel_siginfo__si_code((const void *)info);
		e->si_pid = kernel_siginfo___sifields__kill__pid((const void *)info);
	}
	e->action = zt_action_kind(handler);
	zt_events.ringbuf_submit(e, 0);
	return 0;
}
