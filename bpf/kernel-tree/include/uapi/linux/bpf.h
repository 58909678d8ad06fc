/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef ZT_UAPI_LINUX_BPF_H
#define ZT_UAPI_LINUX_BPF_H

/* BCC includes it; nothing in it is used. */
#include <linux/types.h>

#endif
