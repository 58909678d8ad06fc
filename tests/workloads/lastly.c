// SPDX-License-Identifier: MIT
/*
 * PID 1 that leaves children behind, and one thing that happens at its very end.
 *
 *   lastly sleeping     it sleeps; somebody kills it
 *   lastly dying        a child is already dying of SIGTERM (its tracer holds it at
 *                       PTRACE_EVENT_EXIT) when PID 1 exits
 *   lastly everybody    it sends kill(-1, SIGKILL) and exits at once
 *   lastly pdeath       a grandchild with PR_SET_PDEATHSIG dies along with its parent
 *   lastly exitkill     it traces a child with PTRACE_O_EXITKILL
 *   lastly unseen       a child ignores SIGTERM that was sent to it; then PID 1 exits
 *
 * Written down, a line each: "child PID ROLE", then "ready". All but the first exit
 * with 0 on SIGTERM.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int ready[2];

static void ensure(int good, const char *what)
{
	if (good)
		return;
	perror(what);
	exit(99);
}

static void say(void)
{
	ensure(write(ready[1], "r", 1) == 1, "write");
}

static void hear(void)
{
	char letter;

	ensure(read(ready[0], &letter, 1) == 1, "read");
}

static pid_t start(const char *role)
{
	pid_t child = fork();

	ensure(child >= 0, "fork");
	if (child > 0 && role)
		printf("child %d %s\n", child, role);
	return child;
}

static pid_t pausing(const char *role)
{
	pid_t child = start(role);

	if (child == 0)
		for (;;)
			pause();
	return child;
}

static void hold_in_its_death(pid_t victim)
{
	int status;

	ensure(ptrace(PTRACE_SEIZE, victim, 0, PTRACE_O_TRACEEXIT) == 0, "PTRACE_SEIZE");
	ensure(kill(victim, SIGTERM) == 0, "kill");
	/* First it stops for the signal, then for its exit. */
	for (;;) {
		ensure(waitpid(victim, &status, __WALL) == victim, "wait for a stop");
		if (status >> 8 == (SIGTRAP | PTRACE_EVENT_EXIT << 8))
			break;
		ensure(ptrace(PTRACE_CONT, victim, 0, WSTOPSIG(status)) == 0, "PTRACE_CONT");
	}
	say();
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	sigset_t term;
	int signo;
	pid_t child;

	setvbuf(stdout, NULL, _IOLBF, 0);
	ensure(pipe(ready) == 0, "pipe");
	if (strcmp(mode, "sleeping") == 0) {
		pausing("left");
		pausing("left");
		printf("ready\n");
		for (;;)
			nanosleep(&(struct timespec){ 1000, 0 }, NULL);
	}
	if (strcmp(mode, "dying") == 0) {
		child = pausing("dying");
		if (start("tracer") == 0)
			hold_in_its_death(child);
		hear();
	}
	if (strcmp(mode, "everybody") == 0)
		for (int i = 0; i < 5; i++)
			pausing("killed");
	if (strcmp(mode, "pdeath") == 0) {
		if (start("parent") == 0) {
			if (start("orphan") == 0) {
				prctl(PR_SET_PDEATHSIG, SIGTERM);
				say();
			}
			for (;;)
				pause();
		}
		hear();
	}
	if (strcmp(mode, "exitkill") == 0) {
		child = pausing("traced");
		ensure(ptrace(PTRACE_SEIZE, child, 0, PTRACE_O_EXITKILL) == 0, "PTRACE_SEIZE");
		pausing("left");
	}
	if (strcmp(mode, "unseen") == 0) {
		child = start("deaf");
		if (child == 0) {
			signal(SIGTERM, SIG_IGN);
			say();
			for (;;)
				pause();
		}
		hear();
		ensure(kill(child, SIGTERM) == 0, "kill");
	}
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	printf("ready\n");
	sigwait(&term, &signo);
	if (strcmp(mode, "everybody") == 0)
		kill(-1, SIGKILL);
	return 0;
}
