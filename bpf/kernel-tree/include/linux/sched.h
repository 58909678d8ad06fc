/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef ZT_LINUX_SCHED_H
#define ZT_LINUX_SCHED_H

/* BCC includes it; nothing in it is used. */
#include <linux/types.h>

#endif
