/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Hook:    raw tracepoint signal_generate
 * Where:   __send_signal(): a signal is made; current is the sender, or just in
 *          whose context the kernel raised it. Exit notifications come by here
 * Since:   ever
 * Cost:    one filter check per signal of the host (two for SIGCHLD); of a folded
 *          lifetime's end one lookup
 * Unseen:  signals a tracer injects (PTRACE_CONT), SIGKILL among threads of a
 *          process, strict seccomp: none of them is generated. A zombie that passes
 *          from a dying parent to its new parent where both are in a namespace
 *          between the first one and the target's
 */
#define ZT_CLD_EXITED 1
#define ZT_CLD_DUMPED 3

/*
 * Whether the notification of current's exit was stored in its folded lifetime: its
 * forker is notified with SIGCHLD, once, and waits for it.
 */
static __always_inline bool zt_fold_notification(struct bpf_raw_tracepoint_args *ctx,
						 const void *leader, u32 si_pid, int si_code)
{
	const void *notified = (const void *)ctx->args[2];
	struct zt_lifetime *lifetime = zt_folded(leader);
	const void *pid = task_struct__thread_pid(notified);
	int sig = (int)ctx->args[0];
	struct zt_action action;
	struct zt_event *so_far;
	u32 level;

	if (!lifetime || !pid || sig != ZT_SIGCHLD)
		return false;
	so_far = &lifetime->so_far;
	if (!so_far->exit_ns || so_far->notified_ns || !zt_is_forker(lifetime, notified))
		return false;
	level = pid__level(pid);
	if (zt_number_in(leader, level, zt_innermost_ns(pid, level)) != si_pid)
		return false;
	action = zt_action_of(notified, sig);
	if (action.flags & ZT_SA_NOCLDWAIT)
		return false;
	so_far->sig = sig;
	so_far->info = ZT_INFO_POINTER;
	so_far->si_code = si_code;
	so_far->si_pid = si_pid;
	so_far->result = (u8)ctx->args[4];
	so_far->action = zt_action_kind(action.handler);
	so_far->parent_sigchld = so_far->action;
	if ((task_struct__blocked_sig(notified) | task_struct__real_blocked_sig(notified)) >>
		    (ZT_SIGCHLD - 1) &
	    1)
		so_far->flags |= ZT_F_BLOCKED;
	so_far->flags |= ZT_F_GROUP;
	__builtin_memset(so_far->parent_comm, 0, ZT_COMM_LEN);
	zt_read_comm(so_far->parent_comm, task_struct__group_leader(notified));
	so_far->notified_ns = bpf_ktime_get_boot_ns();
	return zt_is_kept(lifetime);
}

int zt_signal(struct bpf_raw_tracepoint_args *ctx)
{
	int sig = (int)ctx->args[0];
	u64 info = ctx->args[1];
	const void *task = (const void *)ctx->args[2];
	const void *cur = (const void *)bpf_get_current_task();
	const struct zt_config *config = zt_get_config();
	const void *cur_leader, *ns;
	struct zt_repeat *repeat = NULL;
	bool wanted, notify = false;
	struct zt_action action;
	struct zt_event *e;
	u64 zombie_start = 0;
	u32 cur_tgid, si_pid = 0;
	int si_code = 0;
	u64 blocked;

	if (!config)
		return 0;
	cur_leader = task_struct__group_leader(cur);
	cur_tgid = task_struct__tgid(cur);
	/* 0 is SEND_SIG_NOINFO, 1 SEND_SIG_PRIV. */
	if (info > 1) {
		const void *siginfo = (const void *)info;

		si_code = kernel_siginfo__si_code(siginfo);
		si_pid = kernel_siginfo___sifields__kill__pid(siginfo);
		/*
		 * do_notify_parent(). It cannot be forged: the kernel lets a
		 * process send such a code to itself only. A child's exit_signal
		 * may be another one than SIGCHLD; faults use the same codes, but
		 * their victim is not exiting.
		 */
		if (si_code >= ZT_CLD_EXITED && si_code <= ZT_CLD_DUMPED &&
		    cur_tgid != task_struct__tgid(task))
			notify = sig == ZT_SIGCHLD || (task_struct__flags(cur) & ZT_PF_EXITING &&
						       sig == task_struct__exit_signal(cur_leader));
	}
	if (notify && si_pid && zt_fold_notification(ctx, cur_leader, si_pid, si_code))
		return 0;
	wanted = zt_task_wanted(config, task);
	if (notify) {
		/*
		 * The death of another process: a dying parent, or a tracer, passes
		 * a zombie to its new parent. Where the new parent is in the first
		 * namespace, the number is one we know.
		 */
		if (si_pid != cur_tgid && pid__level(task_struct__thread_pid(task)) == 0)
			zombie_start = zt_start_of_dead(si_pid);
		if (!wanted)
			wanted = zombie_start || zt_task_wanted(config, cur_leader);
	}
	if (!wanted)
		return 0;

	action = zt_action_of(task, sig);
	if (!notify && config->folds == ZT_FOLD && zt_is_harmless(task, sig, action.handler)) {
		struct zt_repeat_key key = zt_repeat_key_of(task, cur, sig);

		repeat = zt_count_repeat(&key);
		if (!repeat)
			return 0;
	}
	if (zombie_start)
		zt_open_dead(si_pid);
	zt_open_up(cur);
	zt_open_up(task);
	/* An exit's notification has the weight of the exit. */
	e = notify ? zt_reserve(ZT_KIND_SIGNAL)
		   : zt_reserve_signal(ZT_KIND_SIGNAL, sig, action.handler);
	if (!e)
		return 0;
	ns = zt_fill_subject(e, task);
	zt_fill_current(e, ns);

	blocked = task_struct__blocked_sig(task) | task_struct__real_blocked_sig(task);
	e->sig = sig;
	e->info = info > 1 ? ZT_INFO_POINTER : (u8)info;
	e->si_code = si_code;
	e->si_pid = si_pid;
	e->result = (u8)ctx->args[4];
	e->pdeath_signal = task_struct__pdeath_signal(task);
	e->cur_cgroup_id = zt_cgroup_id(cur_leader);
	if (info == 1 && (sig == ZT_SIGKILL || sig == ZT_SIGXCPU) && e->flags & ZT_F_CUR_SELF)
		e->cpu_limit_s =
			zt_cpu_limit_reached(task_struct__signal(cur_leader), sig == ZT_SIGKILL);
	e->action = zt_action_kind(action.handler);
	/* sigtimedwait() unblocks what it waits for; real_blocked remembers. */
	if ((blocked >> ((sig - 1) & 63)) & 1)
		e->flags |= ZT_F_BLOCKED;
	if (ctx->args[3] & 0xffffffff)
		e->flags |= ZT_F_GROUP;
	/*
	 * Since 7.3 kill(2) lets __send_signal() fill the siginfo: SEND_SIG_NOINFO
	 * to a process. cgroup.kill sends to a thread, PDEATHSIG when exiting.
	 */
	if (info == 0 && e->flags & ZT_F_GROUP && !(e->flags & ZT_F_CUR_EXITING)) {
		e->info = ZT_INFO_POINTER;
		e->si_pid = e->cur_ns_pid;
	}
	/*
	 * A signal that kills has begun the group exit by the time we are
	 * called. GROUP_EXIT is meant for an earlier one.
	 */
	if (e->result == 0 && e->exit_code == sig)
		e->flags &= ~ZT_F_GROUP_EXIT;

	if (notify) {
		e->flags |= ZT_F_NOTIFY;
		/* NOCLDWAIT is about the process notified, not about its parent. */
		e->flags &= ~ZT_F_NOCLDWAIT;
		if (action.flags & ZT_SA_NOCLDWAIT)
			e->flags |= ZT_F_NOCLDWAIT;
		if (zombie_start) {
			e->child_pid = si_pid;
			e->child_start_boot_ns = zombie_start;
		} else if (zt_number_in(cur_leader, e->pidns_level, ns) == si_pid &&
			   zt_live(cur_leader) == 0) {
			e->child_pid = cur_tgid;
			e->child_start_boot_ns = e->cur_start_boot_ns;
		}
	} else {
		if (task_struct__ptrace(task) &&
		    task_struct__tgid(task_struct__parent(task)) == cur_tgid)
			e->flags |= ZT_F_CUR_TRACER;
		if (zt_current_reaps(task))
			e->flags |= ZT_F_CUR_REAPER;
		/* To an init, and from outside or to kill it. */
		if (ns && e->flags & ZT_F_INIT && e->pidns_level &&
		    (sig == ZT_SIGKILL || !e->cur_ns_pid) &&
		    !((ZT_HARMLESS_SIGNALS >> (sig & 63)) & 1))
			zt_begin_stop(ns, ZT_STOP_LASTS_NS);
		/* SIGCHLD (stops) and SIGURG (a Go runtime's) are many and harmless. */
		if (sig != ZT_SIGCHLD && sig != ZT_SIGURG) {
			zt_fill_chain(e);
			zt_fill_current_uid(e);
		}
		if (repeat)
			zt_fill_repeats(repeat, e);
	}
	zt_events.ringbuf_submit(e, 0);
	return 0;
}
