// SPDX-License-Identifier: MIT
/*
 * PID 1 with a child that takes memory until it is killed for it.
 *
 *   eat MEGABYTES [self]
 *
 * Writes "ready" and waits for SIGUSR1. Waits for the child and writes down "child
 * PID RAWSTATUS"; then for SIGTERM, and exits with 0. With self, PID 1 itself eats.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void eat(int megabytes)
{
	for (int i = 0; i < megabytes; i++) {
		char *chunk = malloc(1 << 20);

		if (!chunk)
			_exit(1);
		memset(chunk, 1 + i % 255, 1 << 20);
	}
	_exit(0);
}

int main(int argc, char **argv)
{
	int megabytes = argc > 1 ? atoi(argv[1]) : 64, status, signo;
	sigset_t term, usr1;
	pid_t child;

	sigemptyset(&term);
	sigemptyset(&usr1);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, NULL);
	printf("ready\n");
	fflush(stdout);
	sigwait(&usr1, &signo);
	if (argc > 2)
		eat(megabytes);
	child = fork();
	if (child == 0)
		eat(megabytes);
	if (waitpid(child, &status, 0) != child)
		return 3;
	printf("child %d %d\n", child, status);
	fflush(stdout);
	sigwait(&term, &signo);
	return 0;
}
