// SPDX-License-Identifier: MIT
/*
 * PID 1 with a child that is to blame for something.
 *
 *   blame leader    its main thread ends, two others live on: "worker", in a read,
 *                   and "sleeper", in a sleep
 *   blame hung      it has three zombies and is blocked in a read
 *   blame waiting   it has three zombies and waits for a fourth child, which lives
 *   blame none      there is nobody but PID 1
 *
 * Written down: "blamed PID", "zombie PID" for each, then "ready". PID 1 exits with
 * 0 on SIGTERM.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int never[2], ready[2];

static void ensure(int good, const char *what)
{
	if (good)
		return;
	perror(what);
	exit(99);
}

static void block(void)
{
	char letter;

	/* We hold the other end: nobody will write. */
	(void)!read(never[0], &letter, 1);
}

static void *work(void *unused)
{
	(void)unused;
	prctl(PR_SET_NAME, "worker");
	block();
	return NULL;
}

static void *nap(void *unused)
{
	(void)unused;
	prctl(PR_SET_NAME, "sleeper");
	nanosleep(&(struct timespec){ 1000, 0 }, NULL);
	return NULL;
}

static void make_zombies(void)
{
	siginfo_t info;

	for (int i = 0; i < 3; i++) {
		pid_t child = fork();

		ensure(child >= 0, "fork");
		if (child == 0)
			_exit(i);
		ensure(waitid(P_PID, child, &info, WEXITED | WNOWAIT) == 0, "waitid");
		printf("zombie %d\n", child);
	}
}

static void misbehave(const char *mode)
{
	pthread_t thread;
	pid_t child;

	prctl(PR_SET_NAME, "blamed");
	if (strcmp(mode, "leader") == 0) {
		ensure(pthread_create(&thread, NULL, work, NULL) == 0, "pthread_create");
		ensure(pthread_create(&thread, NULL, nap, NULL) == 0, "pthread_create");
		ensure(write(ready[1], "r", 1) == 1, "write");
		syscall(SYS_exit, 0);
	}
	make_zombies();
	if (strcmp(mode, "waiting") == 0) {
		child = fork();
		if (child == 0)
			for (;;)
				pause();
		ensure(write(ready[1], "r", 1) == 1, "write");
		waitpid(child, NULL, 0);
	}
	ensure(write(ready[1], "r", 1) == 1, "write");
	block();
	_exit(0);
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "none";
	sigset_t term;
	int signo;
	char letter;
	pid_t child;

	setvbuf(stdout, NULL, _IOLBF, 0);
	ensure(pipe(never) == 0 && pipe(ready) == 0, "pipe");
	if (strcmp(mode, "none") != 0) {
		child = fork();
		if (child == 0)
			misbehave(mode);
		printf("blamed %d\n", child);
		ensure(read(ready[0], &letter, 1) == 1, "read");
	}
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	printf("ready\n");
	sigwait(&term, &signo);
	return 0;
}
