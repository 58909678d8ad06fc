// SPDX-License-Identifier: MIT
/*
 * PID 1 with a child that runs out of memory in some way, when told to.
 *
 *   oom touch      it writes to memory of its own, by page faults
 *   oom write      it writes to a file in memory, in write(2)
 *   oom share      so does it, and another process shares its memory (CLONE_VM)
 *
 * SIGUSR1 to PID 1 starts it. Written down: "ready", then "child PID RAWSTATUS"
 * for each; then PID 1 waits for SIGTERM and exits with 0.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHUNK (1 << 20)

static char stack[1 << 16], mapped[8 * CHUNK];

static int idle(void *unused)
{
	(void)unused;
	for (;;)
		pause();
	return 0;
}

static void eat(const char *mode)
{
	static char chunk[CHUNK];
	int fd;

	if (strcmp(mode, "write") == 0) {
		/* The victim is chosen by what is mapped: be the largest. */
		memset(mapped, 1, sizeof(mapped));
		fd = memfd_create("eaten", 0);
		for (int i = 0; i < 4096; i++)
			if (write(fd, chunk, CHUNK) != CHUNK)
				_exit(1);
	}
	for (int i = 0; i < 4096; i++) {
		char *more = mmap(NULL, CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				  -1, 0);

		if (more == MAP_FAILED)
			_exit(1);
		memset(more, 1, CHUNK);
	}
	_exit(0);
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "touch";
	int status, signo;
	sigset_t told;
	pid_t child;

	setvbuf(stdout, NULL, _IOLBF, 0);
	sigemptyset(&told);
	sigaddset(&told, SIGTERM);
	sigaddset(&told, SIGUSR1);
	sigprocmask(SIG_BLOCK, &told, NULL);
	printf("ready\n");
	sigwait(&told, &signo);
	if (signo == SIGTERM)
		return 0;
	child = fork();
	if (child == 0) {
		/* PID 1's child too: it is waited for like the other. */
		if (strcmp(mode, "share") == 0 &&
		    clone(idle, stack + sizeof(stack), CLONE_VM | CLONE_PARENT | SIGCHLD, NULL) < 0)
			_exit(2);
		eat(mode);
	}
	while ((child = waitpid(-1, &status, 0)) > 0)
		printf("child %d %d\n", child, status);
	printf("over\n");
	sigemptyset(&told);
	sigaddset(&told, SIGTERM);
	sigwait(&told, &signo);
	return 0;
}
