/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef ZT_LINUX_VERSION_H
#define ZT_LINUX_VERSION_H

/* For BCC's own use; LINUX_VERSION_CODE is given by the loader (-D). */
#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + ((c) > 255 ? 255 : (c)))

#endif
