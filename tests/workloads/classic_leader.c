// SPDX-License-Identifier: MIT
/*
 * Zombie leaders: the main thread ends by exit(2), another thread runs on.
 *
 *   classic_leader COPIES AGE_MS
 *
 * COPIES of each kind:
 *   alone   the last thread ends by exit(2) with 3 (the leader's own was 7),
 *   group   the last thread ends the group with 5,
 *   killed  PID 1 kills it with SIGKILL while its leader is a zombie,
 *   stays   it is left so until PID 1 ends,
 *   whole   no zombie leader: main returns 11 while a thread lives.
 * Truth: "KIND PID" each, "looked PID STATE RETURNED" (waitpid WNOHANG), "stuck
 * NS" (all leaders are zombies), "reaped PID RAWSTATUS", "ready".
 */
#include <pthread.h>
#include <sys/syscall.h>

#include "truth.h"

enum kind { ALONE, GROUP, KILLED, STAYS, WHOLE, KINDS };

static const char *const names[] = { "alone", "group", "killed", "stays", "whole" };
static int hold[KINDS][2];

static void *run_on(void *kind)
{
	enum kind which = (enum kind)(size_t)kind;

	await_closed(hold[which][0]);
	if (which == ALONE)
		syscall(SYS_exit, 3);
	if (which == GROUP)
		syscall(SYS_exit_group, 5);
	pause_for_ever();
	return NULL;
}

static void play(enum kind kind)
{
	pthread_t thread;

	for (int i = 0; i < KINDS; i++)
		close(hold[i][1]);
	ensure(pthread_create(&thread, NULL, run_on, (void *)(size_t)kind) == 0, "thread");
	if (kind == WHOLE)
		_exit(11);
	syscall(SYS_exit, 7);
}

static void reap(pid_t leader)
{
	int status;

	ensure(waitpid(leader, &status, 0) == leader, "waitpid");
	truth("reaped %d %d\n", leader, status);
}

int main(int argc, char **argv)
{
	int copies, status;
	pid_t *leaders;

	ensure(argc == 3, "arguments");
	truth_open();
	call_self("init");
	exit_0_on(SIGTERM);
	copies = atoi(argv[1]);
	leaders = calloc(copies * KINDS, sizeof(*leaders));
	ensure(leaders != NULL, "calloc");
	for (int i = 0; i < KINDS; i++)
		ensure(pipe(hold[i]) == 0, "pipe");
	for (int i = 0; i < copies * KINDS; i++) {
		enum kind kind = i % KINDS;

		leaders[i] = fork_as(names[kind]);
		if (leaders[i] == 0)
			play(kind);
		truth("%s %d\n", names[kind], leaders[i]);
	}
	for (int i = 0; i < copies * KINDS; i++) {
		if (i % KINDS == WHOLE) {
			reap(leaders[i]);
			continue;
		}
		await_state(leaders[i], 'Z');
		truth("looked %d Z %d\n", leaders[i], waitpid(leaders[i], &status, WNOHANG));
	}
	truth("stuck %lld\n", boot_ns());
	age_ms(atoi(argv[2]));
	for (int i = 0; i < KINDS; i++)
		close(hold[i][1]);
	for (int i = 0; i < copies * KINDS; i++) {
		if (i % KINDS == KILLED)
			ensure(kill(leaders[i], SIGKILL) == 0, "kill");
		if (i % KINDS != STAYS && i % KINDS != WHOLE)
			reap(leaders[i]);
	}
	truth("ready\n");
	pause_for_ever();
}
