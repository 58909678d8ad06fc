// SPDX-License-Identifier: MIT
/*
 * A tracer that takes hold of a process and does nothing with it, as a debugger does
 * whose user went to lunch.
 *
 *   hold PID stop    stops it
 *   hold PID run     lets it run on; when it dies, nobody hears of it
 *
 * Written down: "held PID". On SIGTERM it exits, which lets go of it.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
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
	pid_t pid = argc > 1 ? atoi(argv[1]) : 0;
	int status;

	ensure(argc == 3 && pid > 0, "usage");
	ensure(ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0, "PTRACE_SEIZE");
	if (strcmp(argv[2], "stop") == 0) {
		ensure(ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) == 0, "PTRACE_INTERRUPT");
		ensure(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status), "waitpid");
	}
	printf("held %d\n", pid);
	fflush(stdout);
	pause();
	return 0;
}
