// SPDX-License-Identifier: MIT
/*
 * Send one signal, by one of the system calls there are for it.
 *
 *   send kill|tkill|tgkill|sigqueue|tgsigqueue|pidfd|group SIGNAL PID
 *
 * Thread calls go to the main thread; group sends to the process group. What was
 * done is written down: "sent CALL SIGNAL PID by PID".
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static long send_by(const char *call, int signo, pid_t pid)
{
	siginfo_t info = { .si_signo = signo, .si_code = SI_QUEUE };

	info.si_pid = getpid();
	info.si_uid = getuid();
	if (strcmp(call, "kill") == 0)
		return syscall(SYS_kill, pid, signo);
	if (strcmp(call, "group") == 0)
		return syscall(SYS_kill, -pid, signo);
	if (strcmp(call, "tkill") == 0)
		return syscall(SYS_tkill, pid, signo);
	if (strcmp(call, "tgkill") == 0)
		return syscall(SYS_tgkill, pid, pid, signo);
	if (strcmp(call, "sigqueue") == 0)
		return syscall(SYS_rt_sigqueueinfo, pid, signo, &info);
	if (strcmp(call, "tgsigqueue") == 0)
		return syscall(SYS_rt_tgsigqueueinfo, pid, pid, signo, &info);
	if (strcmp(call, "pidfd") == 0) {
		long fd = syscall(SYS_pidfd_open, pid, 0);

		return fd < 0 ? fd : syscall(SYS_pidfd_send_signal, fd, signo, NULL, 0);
	}
	fprintf(stderr, "send: no call %s\n", call);
	exit(2);
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	if (send_by(argv[1], atoi(argv[2]), atoi(argv[3])) < 0) {
		perror(argv[1]);
		return 1;
	}
	printf("sent %s %s %s by %d\n", argv[1], argv[2], argv[3], getpid());
	return 0;
}
