/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef ZT_LINUX_KCONFIG_H
#define ZT_LINUX_KCONFIG_H

/* BCC's helpers are declared under this option only. */
#define CONFIG_BPF_SYSCALL 1

#endif
