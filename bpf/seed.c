/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Hook:    BPF iterator over tasks
 * Where:   a read() of the tracer; called for every task of its PID namespace
 * Since:   5.8
 * Cost:    paid by the tracer: a filter check per thread, once
 * Unseen:  tasks outside the tracer's own PID namespace
 *
 * The name is BCC's: it tells the attach type from the prefix.
 */
struct bpf_iter_meta {
	void *seq;
	u64 session_id;
	u64 seq_num;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	void *task;
};

/* A record does not fit on the stack beside what else is there. */
BPF_PERCPU_ARRAY(zt_scratch, struct zt_event, 1);

int bpf_iter__task(struct bpf_iter__task *ctx)
{
	const void *task = ctx->task;
	const struct zt_config *config = zt_get_config();
	struct zt_action action;
	struct zt_event *e;
	int zero = 0;

	if (!task || !config || task_struct__pid(task) != task_struct__tgid(task))
		return 0;
	if (config->dead_only) {
		struct zt_tracked_key key = {};

		if (zt_live(task) != 0)
			return 0;
		key.start_boot_ns = task_struct__start_boottime(task);
		key.host_pid = task_struct__tgid(task);
		if (!zt_tracked.lookup(&key) && !zt_task_wanted(config, task))
			return 0;
	} else if (!zt_task_wanted(config, task)) {
		return 0;
	}
	e = zt_scratch.lookup(&zero);
	if (!e)
		return 0;
	zt_clear(e, ZT_KIND_PROCESS);
	zt_fill_subject(e, task);
	action = zt_action_of(task, ZT_SIGCHLD);
	e->own_sigchld = zt_action_kind(action.handler);
	e->pdeath_signal = task_struct__pdeath_signal(task);

	/* Dead before we came: its release must pass nevertheless. */
	if (e->live_threads == 0)
		zt_track(task, false);
	bpf_seq_write(ctx->meta->seq, e, sizeof(*e));
	return 0;
}
