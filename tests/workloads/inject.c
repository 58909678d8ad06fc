// SPDX-License-Identifier: MIT
/*
 * Puts a process into another PID namespace, as docker exec and nsenter do, and
 * stays outside as its parent.
 *
 *   inject PIDNS pause    it pauses, and is not waited for
 *   inject PIDNS exit     it exits with 3 at once, and is not waited for
 *   inject PIDNS orphan   it forks a child that pauses, and exits; that one is
 *                         waited for, its orphan is PID 1's from then on
 *
 * Written down: "put HOSTPID", then "orphan PID" (as the namespace has it). On
 * SIGTERM it waits for what it has not waited for and exits with 0.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void ensure(int good, const char *what)
{
	if (good)
		return;
	perror(what);
	exit(99);
}

int main(int argc, char **argv)
{
	siginfo_t info;
	sigset_t term;
	int signo, fd;
	pid_t child;

	ensure(argc == 3, "usage");
	setvbuf(stdout, NULL, _IOLBF, 0);
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	ensure(fd >= 0, argv[1]);
	ensure(setns(fd, CLONE_NEWPID) == 0, "setns");
	child = fork();
	ensure(child >= 0, "fork");
	if (child == 0) {
		sigprocmask(SIG_UNBLOCK, &term, NULL);
		if (strcmp(argv[2], "exit") == 0)
			_exit(3);
		if (strcmp(argv[2], "orphan") == 0) {
			pid_t orphan = fork();

			if (orphan > 0) {
				printf("orphan %d\n", orphan);
				_exit(0);
			}
		}
		for (;;)
			pause();
	}
	if (strcmp(argv[2], "orphan") == 0)
		ensure(waitpid(child, NULL, 0) == child, "waitpid");
	else if (strcmp(argv[2], "exit") == 0)
		ensure(waitid(P_PID, child, &info, WEXITED | WNOWAIT) == 0, "waitid");
	printf("put %d\n", child);
	sigwait(&term, &signo);
	while (waitpid(-1, NULL, 0) > 0)
		;
	return 0;
}
