/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Arguments of kprobes: registers at their offsets in BTF's pt_regs.
 */
#ifndef ZT_PROBE_H
#define ZT_PROBE_H

#define ZT_KPROBE_ARG1(ctx) (*(const u64 *)((const char *)(ctx) + ZT_OFF_ARG1))
#define ZT_KPROBE_RETURN(ctx) (*(const u64 *)((const char *)(ctx) + ZT_OFF_RETURN))

#endif
