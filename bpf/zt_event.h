/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The one record that crosses from the kernel to user space.
 *
 * Every hook fills the same fixed-size struct, so that a drain of the ring is
 * one numpy view. tracer/wire/layout.py reads this file to build its dtype; a
 * test compiles it and compares every offset. Plain C types, data only, fields
 * sorted by size, padding written out.
 *
 * Pids follow user space: *_pid is the kernel's tgid, *_tid its pid.
 * 0 in a pid, start or inode field means "not known" or "none".
 * Clocks are CLOCK_BOOTTIME in ns (bpf_ktime_get_boot_ns).
 */
#ifndef ZT_EVENT_H
#define ZT_EVENT_H

#define ZT_COMM_LEN 16
#define ZT_CHAIN_LEN 4

/* Which fact a record states. The numbers are part of the capture format. */
#define ZT_KIND_PROCESS 1 /* was there before: from the task iterator */
#define ZT_KIND_FORK 2	  /* a new process (never a new thread) */
#define ZT_KIND_EXEC 3
#define ZT_KIND_EXIT_BEGIN 4	  /* do_exit entered by the last thread */
#define ZT_KIND_EXIT 5		  /* a thread group ended, or its leader did */
#define ZT_KIND_REAP 6		  /* release_task: the exact moment */
#define ZT_KIND_FREE 7		  /* sched_process_free: after the reap */
#define ZT_KIND_SIGNAL 8	  /* signal_generate */
#define ZT_KIND_DELIVER 9	  /* signal_deliver */
#define ZT_KIND_TEARDOWN_BEGIN 10 /* zap_pid_ns_processes entered */
#define ZT_KIND_TEARDOWN_END 11	  /* zap_pid_ns_processes returned */
#define ZT_KIND_OOM 12		  /* mark_victim */
#define ZT_KIND_FORK_FAILED 13	  /* kernel_clone returned an error */
#define ZT_KIND_LIFETIME 14	  /* a lifetime, whole or so far, instead of the records above */
#define ZT_KIND_COUNT 15

/* flags: facts about the subject and about current, taken in the hook. */
#define ZT_F_CUR_EXITING (1u << 0) /* current has PF_EXITING */
#define ZT_F_CUR_REAPER (1u << 1)  /* current is child_reaper of a namespace of the subject */
#define ZT_F_CUR_SELF (1u << 2)	   /* current belongs to the subject's thread group */
#define ZT_F_CUR_TRACER (1u << 3)  /* current's thread group ptraces the subject */
#define ZT_F_CUR_COMPAT (1u << 4)  /* current is in a 32-bit system call: sys_nr is of that table */
#define ZT_F_CUR_KTHREAD (1u << 5) /* current is a kernel thread */
#define ZT_F_GROUP_EXIT (1u << 6)  /* SIGNAL_GROUP_EXIT was set on the subject */
#define ZT_F_UNKILLABLE (1u << 7)  /* SIGNAL_UNKILLABLE: a namespace's init */
#define ZT_F_BLOCKED (1u << 8)	   /* the signal is in the subject thread's blocked mask */
#define ZT_F_GROUP (1u << 9)	   /* sent to the process, not to one thread */
#define ZT_F_NOTIFY (1u << 10)	   /* an exit notification, about child_pid */
#define ZT_F_PTRACED (1u << 11)	   /* the subject is traced */
#define ZT_F_GROUP_DEAD (1u << 12) /* the last thread of the subject is gone */
#define ZT_F_NOCLDWAIT (1u << 13)  /* the parent's SIGCHLD action has SA_NOCLDWAIT */
#define ZT_F_INIT (1u << 14)	   /* the subject is its namespace's child_reaper */
#define ZT_F_RELEASED (1u << 15)   /* LIFETIME: it is over, and was uneventful */
#define ZT_F_EXACT (1u << 16)	   /* LIFETIME: boot_ns is the moment of the release itself */
#define ZT_F_FOLDED (1u << 17)	/* EXEC: the LIFETIME includes it too; SIGNAL: was only counted */
#define ZT_F_FOUND (1u << 18)	/* LIFETIME: no hook saw the release, user space found it */
#define ZT_F_CUR_UID (1u << 19) /* SIGNAL: cur_uid is known */

/* Signal actions: of the subject for SIGNAL and DELIVER, see each field. */
#define ZT_ACTION_DEFAULT 0
#define ZT_ACTION_IGNORE 1
#define ZT_ACTION_CAUGHT 2
#define ZT_ACTION_UNKNOWN 3

/* What the siginfo pointer of signal_generate was. */
#define ZT_INFO_NOINFO 0  /* SEND_SIG_NOINFO */
#define ZT_INFO_PRIV 1	  /* SEND_SIG_PRIV */
#define ZT_INFO_POINTER 2 /* a filled siginfo */

struct zt_event {
	unsigned long long boot_ns;

	/* The subject, which the record is about, and its parent (real_parent). */
	unsigned long long start_boot_ns;
	unsigned long long parent_start_boot_ns;
	unsigned long long init_start_boot_ns; /* of its namespace's init */
	unsigned long long cgroup_id;

	/* current, in whose context the hook ran. */
	unsigned long long cur_start_boot_ns;

	/* NOTIFY: the child; REAP and FREE: the last known tracer's or parent's
	 * start is in parent_start_boot_ns. */
	unsigned long long child_start_boot_ns;

	/* LIFETIME: when each thing happened, 0 = not yet. The subject is as it was in
	 * the end, current as it was at the fork; sig to action describe the exit
	 * notification. */
	unsigned long long forked_ns;
	unsigned long long exec_ns; /* the last one */
	unsigned long long exit_ns;
	unsigned long long
		notified_ns; /* FREE: when its pidfd became readable, set by user space */

	/* SIGNAL: since when equal ones were only counted, where any were. */
	unsigned long long repeats_since_ns;

	/* SIGNAL: current's cgroup, as cgroup_id is the subject's. */
	unsigned long long cur_cgroup_id;

	unsigned int kind;
	unsigned int flags;
	unsigned int host_pid;
	unsigned int host_tid;
	unsigned int ns_pid; /* in its innermost namespace */
	unsigned int parent_host_pid;
	unsigned int pidns_inum; /* innermost */
	unsigned int pidns_level;
	unsigned int parent_pidns_inum;
	unsigned int tracer_host_pid; /* task->parent where ptraced */
	unsigned int live_threads;    /* signal->live */
	unsigned int exit_state;
	int exit_code; /* wait status, as wait_task_zombie computes it */
	int exit_signal;

	unsigned int cur_host_pid;
	unsigned int cur_host_tid;
	unsigned int cur_ns_pid; /* as the subject's namespace sees it; 0 = outside */
	int sys_nr;		 /* -1: not in a system call, or not known */

	int sig;
	int si_code;
	unsigned int si_pid;	/* as the subject's namespace sees it */
	unsigned int child_pid; /* NOTIFY: host pid of the child, if known */
	int pdeath_signal;
	int error; /* FORK_FAILED: the negative errno; PROCESS, FREE: why there is no exit_code */
	unsigned int repeats; /* SIGNAL: how many equal ones before it were only counted */
	unsigned int cur_uid; /* SIGNAL: current's real user, as the first user namespace sees it */

	/* SIGNAL: the limit that current's CPU time has reached when the kernel raises
	 * SIGKILL (the hard one) or SIGXCPU (the soft one) for it, in s; 0 = it has not. */
	unsigned int cpu_limit_s;

	unsigned char info;	      /* ZT_INFO_* */
	unsigned char result;	      /* TRACE_SIGNAL_* */
	unsigned char action;	      /* of the subject for sig */
	unsigned char parent_sigchld; /* the parent's action for SIGCHLD */
	unsigned char own_sigchld;    /* PROCESS: the subject's own */
	unsigned char pad[7];

	char comm[ZT_COMM_LEN]; /* of the thread-group leader */
	char parent_comm[ZT_COMM_LEN];
	char cur_comm[ZT_COMM_LEN]; /* of current's thread-group leader */

	/* Ancestors of current, nearest first; SIGKILL and the stop signals.
	 * LIFETIME: the name after the last exec, and the one it was born with. */
	char chain_comm[ZT_CHAIN_LEN][ZT_COMM_LEN];
};

#endif
