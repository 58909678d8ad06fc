// SPDX-License-Identifier: MIT
/*
 * Children that all have the same pid, one after the other, here and on the host.
 *
 *   same_pid TIMES NS_PID HOST_PID
 *
 * Number i (from 0) exits with i. clone3's set_tid names the pid on each level; it
 * is free again as soon as the one before has been waited for. Written down:
 * "child PID STATUS" each, then "done".
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	pid_t pids[2];
	struct clone_args args = { .exit_signal = SIGCHLD };

	if (argc != 4)
		return 2;
	pids[0] = atoi(argv[2]);
	pids[1] = atoi(argv[3]);
	args.set_tid = (uintptr_t)pids;
	args.set_tid_size = 2;
	for (int i = 0; i < atoi(argv[1]); i++) {
		int status;
		long child = syscall(SYS_clone3, &args, sizeof(args));

		if (child == 0)
			_exit(i);
		if (child != pids[0]) {
			fprintf(stderr, "clone3: %s\n", strerror(errno));
			return 1;
		}
		if (waitpid(pids[0], &status, 0) != pids[0])
			return 3;
		printf("child %ld %d\n", child, WEXITSTATUS(status));
	}
	printf("done\n");
	return 0;
}
