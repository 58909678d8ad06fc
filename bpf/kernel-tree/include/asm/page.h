/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef ZT_ASM_PAGE_H
#define ZT_ASM_PAGE_H

/* BCC includes it; nothing in it is used. */
#include <linux/types.h>

#endif
