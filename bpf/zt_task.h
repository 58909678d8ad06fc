/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Reading tasks. Every kernel pointer here is a plain address, and every read
 * goes through an accessor of the BTF view (struct__member(address)), which
 * gives zero where the address is bad: a task may be half gone.
 */
#ifndef ZT_TASK_H
#define ZT_TASK_H

/* Bits that BTF does not carry (they are macros); part of the kernel's ABI or
 * unchanged for as long as BTF exists. */
#define ZT_PF_EXITING 0x00000004
#define ZT_PF_KTHREAD 0x00200000
#define ZT_SIGNAL_GROUP_EXIT 0x00000004
#define ZT_SIGNAL_UNKILLABLE 0x00000040
#define ZT_SA_NOCLDWAIT 0x00000002
#define ZT_EEXIST 17
#define ZT_RLIM_INFINITY (~0ULL)
#define ZT_NSEC_PER_SEC 1000000000ULL
#define ZT_TS_COMPAT 0x0002 /* x86: thread_info.status */
#define ZT_TIF_32BIT 22	    /* arm64: thread_info.flags */

/* Signal numbers, as x86-64 and arm64 have them. */
#define ZT_SIGHUP 1
#define ZT_SIGINT 2
#define ZT_SIGQUIT 3
#define ZT_SIGKILL 9
#define ZT_SIGTERM 15
#define ZT_SIGCHLD 17
#define ZT_SIGCONT 18
#define ZT_SIGSTOP 19
#define ZT_SIGTSTP 20
#define ZT_SIGTTIN 21
#define ZT_SIGTTOU 22
#define ZT_SIGURG 23
#define ZT_SIGXCPU 24
#define ZT_SIGWINCH 28

/* Those whose default action neither kills nor dumps. */
#define ZT_HARMLESS_SIGNALS                                                                  \
	(1ULL << ZT_SIGCHLD | 1ULL << ZT_SIGCONT | 1ULL << ZT_SIGSTOP | 1ULL << ZT_SIGTSTP | \
	 1ULL << ZT_SIGTTIN | 1ULL << ZT_SIGTTOU | 1ULL << ZT_SIGURG | 1ULL << ZT_SIGWINCH)

/* MAX_PID_NS_LEVEL is 32; a cgroup tree deeper than this is not matched below it. */
#define ZT_PIDNS_LEVELS 33
#define ZT_CGROUP_LEVELS 32

/*
 * clang would merge both conditions of a bounded loop into one count that runs
 * down from an unknown number; older verifiers then see no bound. It may not
 * know what the index is.
 */
#define ZT_OPAQUE(variable) asm volatile("" : "+r"(variable))

struct zt_action {
	u64 handler;
	u64 flags;
};

static __always_inline struct zt_action zt_action_of(const void *task, int sig)
{
	struct zt_action action = { .handler = ~0ULL };
	const void *sighand = task_struct__sighand(task);
	const void *entry;

	if (!sighand || sig < 1 || sig > 64)
		return action;
	entry = sighand + ZT_OFF_sighand_struct__action + (u32)(sig - 1) * ZT_SIZE_k_sigaction;
	action.handler = k_sigaction__sa_sa_handler(entry);
	action.flags = k_sigaction__sa_sa_flags(entry);
	return action;
}

static __always_inline u8 zt_action_kind(u64 handler)
{
	if (handler == 0)
		return ZT_ACTION_DEFAULT;
	if (handler == 1)
		return ZT_ACTION_IGNORE;
	if (handler == ~0ULL)
		return ZT_ACTION_UNKNOWN;
	return ZT_ACTION_CAUGHT;
}

/* Member numbers[level] of struct pid. */
static __always_inline const void *zt_upid(const void *pid, u32 level)
{
	return pid + ZT_OFF_pid__numbers + (level & 63) * ZT_SIZE_upid;
}

/* The number of a task in the namespace at this level, 0 if it is not in it. */
static __always_inline u32 zt_number_in(const void *task, u32 level, const void *ns)
{
	const void *pid = task_struct__thread_pid(task);
	const void *upid;

	if (!pid || !ns || level > pid__level(pid))
		return 0;
	upid = zt_upid(pid, level);
	return upid__ns(upid) == (u64)ns ? upid__nr(upid) : 0;
}

static __always_inline const void *zt_innermost_ns(const void *pid, u32 level)
{
	return (const void *)upid__ns(zt_upid(pid, level));
}

static __always_inline int zt_live(const void *task)
{
	return signal_struct__live_counter(task_struct__signal(task));
}

/*
 * Whether a thread is taking the leader's place in exec, which makes the leader
 * exit. Before 5.17 the member served core dumps too: their leader's end is not
 * worth a record of its own either.
 */
static __always_inline bool zt_leader_is_replaced(const void *leader)
{
#if ZT_HAS_signal_struct__group_exec_task
	return signal_struct__group_exec_task(task_struct__signal(leader)) != NULL;
#elif ZT_HAS_signal_struct__group_exit_task
	return signal_struct__group_exit_task(task_struct__signal(leader)) != NULL;
#else
	return false;
#endif
}

/* The cgroup that identifies a container, in the hierarchy the loader chose. */
static __always_inline const void *zt_cgroup(const void *task)
{
	const void *set = task_struct__cgroups(task);
#if ZT_CGROUP_V1
	const void *css = NULL;

	bpf_probe_read_kernel(&css, sizeof(css),
			      set + ZT_OFF_css_set__subsys + ZT_CGROUP_V1_SUBSYS * 8);
	return css ? cgroup_subsys_state__cgroup(css) : NULL;
#else
	return css_set__dfl_cgrp(set);
#endif
}

static __always_inline u64 zt_cgroup_id(const void *task)
{
	const void *cgroup = zt_cgroup(task);

	return cgroup ? kernfs_node__id(cgroup__kn(cgroup)) : 0;
}

/* comm must be zero before: old kernels leave the end of a longer name in it. */
static __always_inline void zt_read_comm(char *comm, const void *task)
{
	bpf_probe_read_kernel_str(comm, ZT_COMM_LEN, task + ZT_OFF_task_struct__comm);
}

/*
 * check_process_timers(): the CPU time limit that a process has reached, in s; 0 where
 * it has none or has not reached it. RLIMIT_CPU is the first limit; struct rlimit has
 * the soft one first. The kernel compares the same counters in the same context, and
 * keeps them wherever there is a limit.
 */
static __always_inline u32 zt_cpu_limit_reached(const void *signal, bool is_hard)
{
	u64 used_ns = signal_struct__cputimer_cputime_atomic_utime_counter(signal) +
		      signal_struct__cputimer_cputime_atomic_stime_counter(signal);
	u64 limit_s = ZT_RLIM_INFINITY;

	bpf_probe_read_kernel(&limit_s, sizeof(limit_s),
			      signal + ZT_OFF_signal_struct__rlim + (is_hard ? 8 : 0));
	if (limit_s >= ~0U || used_ns < limit_s * ZT_NSEC_PER_SEC)
		return 0;
	/* The kernel takes a limit of no time at all for one of 1 s. */
	return limit_s ? (u32)limit_s : 1;
}

/* wait_task_zombie(): the status waitpid() will return. */
static __always_inline int zt_wait_status(const void *leader, const void *signal)
{
	if (signal_struct__flags(signal) & ZT_SIGNAL_GROUP_EXIT)
		return signal_struct__group_exit_code(signal);
	return task_struct__exit_code(leader);
}

/*
 * The system call current is in, or -1. In interrupts and faults the register
 * holds -1 already; a kernel thread has no registers worth reading.
 */
static __always_inline int zt_syscall(const void *task, u32 task_flags)
{
	const void *regs;
	int number = -1;

	if (task_flags & ZT_PF_KTHREAD)
		return -1;
#if ZT_HAS_TASK_PT_REGS
	regs = (const void *)bpf_task_pt_regs(bpf_get_current_task_btf());
#elif ZT_PT_REGS_BELOW_STACK_TOP
	regs = (const void *)task_struct__stack(task);
	if (!regs)
		return -1;
	regs += ZT_THREAD_SIZE - ZT_SIZE_pt_regs;
#else
	return -1;
#endif
	bpf_probe_read_kernel(&number, sizeof(number), regs + ZT_OFF_SYSCALL);
	return number;
}

static __always_inline bool zt_in_compat_syscall(const void *task)
{
#if ZT_COMPAT_IN_FLAGS
	return (task_struct__thread_info_flags(task) >> ZT_TIF_32BIT) & 1;
#elif ZT_HAS_task_struct__thread_info_status
	return task_struct__thread_info_status(task) & ZT_TS_COMPAT;
#else
	return false;
#endif
}

#endif
