/* SPDX-License-Identifier: MIT */
/*
 * Makes work for tracers to see, and writes down how much it made.
 *
 * usage: driver [--pidns] EXEC-PROGRAM
 *
 * Reads commands from stdin, a line each, and answers each with a line of JSON:
 *
 *   fork WORKERS N      each worker forks children, one by one, and waits, until
 *                       there were N for each: whoever is faster makes more
 *   forkfor WORKERS MS  the same until the time is up
 *   exec WORKERS N      the same; the children execute EXEC-PROGRAM, which ends at
 *                       once
 *   signal WORKERS N    each worker and a partner send each other N signals
 *   zombies N           N children that nobody waits for, dead when it answers
 *   reap                wait for all of those
 *   crowd N             N children that do nothing
 *   disperse            end those
 *   ping N              a child called zb-pN sends itself SIGUSR1 and exits 19
 *
 * Each worker, and what it makes, stays on a processor of its own.
 *
 * With --pidns it is PID 1 of a new PID namespace. It ends, and all it made with
 * it, when stdin does or the process that started it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "storms.h"

/* --- many workers at once --------------------------------------------------- */

/* Where the scheduler moves it about, a storm is now slower, now faster by a fifth. */
static void stay_on_one_cpu(long worker)
{
	cpu_set_t allowed, one;
	long skip, cpu;

	ensure(sched_getaffinity(0, sizeof(allowed), &allowed) == 0, "sched_getaffinity");
	skip = worker % CPU_COUNT(&allowed);
	for (cpu = 0; !CPU_ISSET(cpu, &allowed) || skip-- > 0; cpu++)
		;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	ensure(sched_setaffinity(0, sizeof(one), &one) == 0, "sched_setaffinity");
}

static void work(const char *name, void (*storm)(struct account *, long), int workers, long number)
{
	struct account sum = { 0 };
	pid_t self = getpid(), children[MAX_WORKERS];
	char comm[16];
	int i;

	ensure(workers > 0 && workers <= MAX_WORKERS, "workers");
	memset(board, 0, sizeof(*board));
	atomic_store(&board->left, workers * number);
	/*
	 * All of a storm have its name, from birth to end: hardly a parent renames
	 * itself while it has children, and a tracer may have to look twice at it.
	 */
	snprintf(comm, sizeof(comm), "zb-%s", name);
	call_self(comm);
	for (i = 0; i < workers; i++) {
		children[i] = fork();
		ensure(children[i] >= 0, "fork");
		if (children[i])
			continue;
		die_with_parent(self);
		stay_on_one_cpu(i);
		atomic_fetch_add(&board->waiting, 1);
		while (!atomic_load(&board->started))
			sched_yield();
		board->accounts[i].begin_ns = now_ns();
		storm(&board->accounts[i], number);
		board->accounts[i].end_ns = now_ns();
		_exit(9);
	}
	call_self("zb-driver");
	while (atomic_load(&board->waiting) < workers)
		usleep(200);
	atomic_store(&board->started, 1);
	for (i = 0; i < workers; i++)
		wait_for(children[i]);
	sum.begin_ns = board->accounts[0].begin_ns;
	for (i = 0; i < workers; i++) {
		struct account *one = &board->accounts[i];

		ensure(one->end_ns != 0, "a worker did not finish");
		/* Who forked in it ends in it. */
		sum.processes += one->processes + (one->processes > 0);
		sum.signals += one->signals;
		sum.failed += one->failed;
		if (one->begin_ns < sum.begin_ns)
			sum.begin_ns = one->begin_ns;
		if (one->end_ns > sum.end_ns)
			sum.end_ns = one->end_ns;
	}
	printf("{\"what\":\"%s\",\"workers\":%d,\"processes\":%ld,\"signals\":%ld,"
	       "\"failed\":%ld,\"ns\":%lld}\n",
	       name, workers, sum.processes, sum.signals, sum.failed, sum.end_ns - sum.begin_ns);
}

/* --- zombies, crowds, pings ------------------------------------------------- */

static pid_t *kept;
static long kept_number;

static void keep(const char *comm, long number, bool alive)
{
	long long began = now_ns();
	int open_while_alive[2];
	char letter;

	kept = realloc(kept, sizeof(*kept) * (number + 1));
	ensure(kept && pipe(open_while_alive) == 0, "pipe");
	call_self(comm);
	for (kept_number = 0; kept_number < number; kept_number++) {
		pid_t child = fork();

		if (child == 0) {
			while (alive)
				pause();
			_exit(0);
		}
		if (child < 0)
			break;
		kept[kept_number] = child;
	}
	call_self("zb-driver");
	close(open_while_alive[1]);
	if (!alive) {
		/* Files are closed before the exit is told: the last one is looked at too. */
		while (read(open_while_alive[0], &letter, 1) < 0 && errno == EINTR)
			;
		for (long i = 0; i < kept_number; i++) {
			siginfo_t info;

			waitid(P_PID, kept[i], &info, WEXITED | WNOWAIT);
		}
	}
	close(open_while_alive[0]);
	printf("{\"what\":\"%s\",\"processes\":%ld,\"failed\":%ld,\"ns\":%lld}\n", comm,
	       kept_number, number - kept_number, now_ns() - began);
}

static void collect(bool kill_first)
{
	long long began = now_ns();
	long i;

	for (i = 0; kill_first && i < kept_number; i++)
		kill(kept[i], SIGKILL);
	for (i = 0; i < kept_number; i++)
		wait_for(kept[i]);
	printf("{\"what\":\"collected\",\"processes\":%ld,\"ns\":%lld}\n", kept_number,
	       now_ns() - began);
	kept_number = 0;
}

static void ping(long number)
{
	pid_t child = fork();

	ensure(child >= 0, "fork");
	if (child == 0) {
		char comm[16];

		snprintf(comm, sizeof(comm), "zb-p%ld", number);
		call_self(comm);
		signal(SIGUSR1, SIG_IGN);
		board->pinged_ns = now_ns();
		kill(getpid(), SIGUSR1);
		_exit(19);
	}
	wait_for(child);
	printf("{\"what\":\"ping\",\"pid\":%d,\"at_ns\":%lld}\n", child, board->pinged_ns);
}

/* --- the commands ----------------------------------------------------------- */

static void obey(char *line)
{
	char name[16];
	long first = 0, second = 0;

	ensure(sscanf(line, "%15s %ld %ld", name, &first, &second) >= 1, "a command");
	if (!strcmp(name, "fork"))
		work(name, fork_storm, first, second);
	else if (!strcmp(name, "forkfor"))
		work("fork", fork_storm_for, first, second);
	else if (!strcmp(name, "exec"))
		work(name, exec_storm, first, second);
	else if (!strcmp(name, "signal"))
		work(name, signal_storm, first, second);
	else if (!strcmp(name, "zombies"))
		keep("zb-zombie", first, false);
	else if (!strcmp(name, "reap"))
		collect(false);
	else if (!strcmp(name, "crowd"))
		keep("zb-idle", first, true);
	else if (!strcmp(name, "disperse"))
		collect(true);
	else if (!strcmp(name, "ping"))
		ping(first);
	else
		ensure(false, line);
	fflush(stdout);
}

static void be_pid_1(void)
{
	pid_t init;
	int status;

	ensure(unshare(CLONE_NEWPID) == 0, "unshare");
	init = fork();
	ensure(init >= 0, "fork");
	if (init == 0) {
		ensure(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0, "PR_SET_PDEATHSIG");
		return;
	}
	ensure(waitpid(init, &status, 0) == init, "waitpid");
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 98);
}

int main(int argc, char **argv)
{
	char line[128];

	ensure(argc >= 2, "usage: driver [--pidns] EXEC-PROGRAM");
	exec_program = argv[argc - 1];
	ensure(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0, "PR_SET_PDEATHSIG");
	call_self("zb-driver");
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	ensure(board != MAP_FAILED, "mmap");
	if (!strcmp(argv[1], "--pidns"))
		be_pid_1();
	printf("{\"what\":\"ready\"}\n");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin))
		obey(line);
	return 0;
}
