/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Hook:    raw tracepoint mark_victim, with a number as its argument
 * Where:   mark_oom_victim(); current asked for the memory
 * Since:   where BTF shows an int as the first argument
 * Cost:    none until memory runs out
 * Unseen:  everything about the victim but its number, so that it cannot be
 *          filtered here: user space drops what is not the target's
 */
int zt_oom_pid(struct bpf_raw_tracepoint_args *ctx)
{
	struct zt_event *e = zt_reserve(ZT_KIND_OOM);

	if (!e)
		return 0;
	e->host_pid = (u32)ctx->args[0];
	e->host_tid = e->host_pid;
	zt_fill_current(e, NULL);
	zt_events.ringbuf_submit(e, 0);
	return 0;
}
