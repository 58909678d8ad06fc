/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Arguments: those of kprobes are registers, at their offsets in BTF's pt_regs; those
 * of iterators begin with the pass.
 */
#ifndef ZT_PROBE_H
#define ZT_PROBE_H

#define ZT_KPROBE_ARG1(ctx) (*(const u64 *)((const char *)(ctx) + ZT_OFF_ARG1))
#define ZT_KPROBE_RETURN(ctx) (*(const u64 *)((const char *)(ctx) + ZT_OFF_RETURN))

struct bpf_iter_meta {
	void *seq;
	u64 session_id;
	u64 seq_num;
};

#endif
