/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Hook:    BPF iterator over tasks
 * Where:   a read() of the tracer; called for every task of its PID namespace
 * Since:   5.8
 * Cost:    paid by the tracer: a filter check per thread, once
 * Unseen:  tasks outside the tracer's own PID namespace
 *
 * BCC prescribes the name: it derives the attach type from the prefix.
 */
struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	void *task;
};

/* A record does not fit on the stack with everything else. */
BPF_PERCPU_ARRAY(zt_scratch, struct zt_event, 1);

/* Emits a folded lifetime through the iterator, where this pass asks for it. */
static __always_inline void zt_list_folded(struct bpf_iter__task *ctx,
					   const struct zt_config *config,
					   struct zt_lifetime *lifetime, const void *task)
{
	u64 now_ns = bpf_ktime_get_boot_ns();
	u64 exit_ns = lifetime->so_far.exit_ns;
	struct zt_event *e;
	int zero = 0;

	if (config->lists == ZT_LIST_DEAD && !exit_ns && !lifetime->unsent)
		return;
	if (config->lists == ZT_LIST_STOPPED && !zt_in_stop(task) && !lifetime->unsent)
		return;
	e = zt_scratch.lookup(&zero);
	if (!e)
		return;
	if (config->lists == ZT_LIST_DEAD && !lifetime->unsent &&
	    now_ns - exit_ns < config->min_zombie_ns) {
		/* It is there, and stays folded. */
		lifetime->seen_ns = now_ns;
		zt_clear(e, ZT_KIND_PROCESS);
		zt_fill_subject(e, task);
		bpf_seq_write(ctx->meta->seq, e, sizeof(*e));
		return;
	}
	if (!lifetime->opened) {
		lifetime->unsent = 1;
		zt_mark_opened(lifetime);
	}
	zt_copy_lifetime(e, lifetime, task, now_ns);
	/* Where there is no room we are called again. */
	if (bpf_seq_write(ctx->meta->seq, e, sizeof(*e)))
		return;
	lifetime->unsent = 0;
	zt_open_up(task_struct__real_parent(task));
}

int bpf_iter__task(struct bpf_iter__task *ctx)
{
	const void *task = ctx->task;
	const struct zt_config *config = zt_get_config();
	struct zt_tracked_key key;
	struct zt_action action;
	struct zt_lifetime *lifetime;
	struct zt_event *e;
	int zero = 0;

	if (!task || !config || task_struct__pid(task) != task_struct__tgid(task))
		return 0;
	key = zt_key_of(task);
	lifetime = zt_find_lifetime(&key);
	if (lifetime && (!lifetime->opened || lifetime->unsent)) {
		zt_list_folded(ctx, config, lifetime, task);
		return 0;
	}
	if (config->lists >= ZT_LIST_STOPPED)
		return 0;
	if (config->lists == ZT_LIST_DEAD) {
		if (zt_live(task) != 0)
			return 0;
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

	/* Dead before the trace began: its release must still be emitted. */
	if (e->live_threads == 0)
		zt_track(task, false);
	bpf_seq_write(ctx->meta->seq, e, sizeof(*e));
	return 0;
}
