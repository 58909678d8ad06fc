// SPDX-License-Identifier: MIT
/*
 * A host on which things come and go, at a steady rate, of every kind there is.
 *
 *   churn PROCESSES NAMESPACES SECONDS
 *
 * So many processes and PID namespaces a second. Of the processes, by turns: one in 50
 * is killed by another, one in 97 stays a zombie for 1.5 s under a parent of its own,
 * one in 31 has a name that none had before, one in 41 fails; the others exit with 0.
 * A namespace has an init and three children, and ends after 100 ms: by itself, of
 * SIGKILL, or of a SIGTERM that its init handles.
 *
 * Written down at the end: "processes N", "namespaces N".
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TICK_NS 10000000LL
#define LIVES_TICKS 10
#define MAX_NAMESPACES 4096

static pid_t inits[MAX_NAMESPACES];
static long ends_at[MAX_NAMESPACES];
static int how[MAX_NAMESPACES];
static long processes, namespaces;
static sigset_t stop;

static long long now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void call_self(const char *format, long number)
{
	char name[32]; /* the kernel takes 15 of it */

	snprintf(name, sizeof(name), format, number);
	prctl(PR_SET_NAME, name);
}

static void end(int signo)
{
	(void)signo;
	_exit(0);
}

static pid_t make(void)
{
	pid_t child = fork();

	if (child < 0 && errno != EAGAIN) {
		perror("fork");
		exit(99);
	}
	processes += child > 0;
	return child;
}

static void make_process(long number)
{
	if (number % 50 == 0) {
		pid_t victim = make();

		if (victim == 0) {
			call_self("victim", 0);
			pause();
			_exit(1);
		}
		if (make() == 0) {
			call_self("killer-%ld", number);
			kill(victim, SIGKILL);
			_exit(0);
		}
	} else if (number % 97 == 0) {
		if (make() == 0) {
			call_self("late-%ld", number);
			pid_t child = fork();

			if (child == 0)
				_exit(0);
			usleep(1500000);
			waitpid(child, NULL, 0);
			_exit(0);
		}
		processes++;
	} else if (make() == 0) {
		if (number % 31 == 0)
			call_self("job-%ld", number);
		_exit(number % 41 == 0 ? 1 + number % 5 : 0);
	}
}

static void be_init(int kind)
{
	call_self("ns-init", 0);
	if (kind == 2)
		signal(SIGTERM, end);
	/* Until there is a handler PID 1's would be dropped, were it not blocked. */
	sigprocmask(SIG_UNBLOCK, &stop, NULL);
	for (int number = 0; number < 3; number++)
		if (fork() == 0) {
			call_self("ns-worker", 0);
			while (true)
				pause();
		}
	if (kind == 0) {
		usleep(LIVES_TICKS * TICK_NS / 1000);
		_exit(0);
	}
	while (true)
		pause();
}

static void make_namespace(long tick)
{
	int slot = namespaces % MAX_NAMESPACES;
	int kind = namespaces % 3;
	pid_t init = syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);

	if (init == 0)
		be_init(kind);
	if (init < 0) {
		perror("clone");
		exit(99);
	}
	inits[slot] = init;
	ends_at[slot] = tick + LIVES_TICKS;
	how[slot] = kind;
	namespaces++;
	processes += 4;
}

static void end_namespaces(long tick)
{
	static long oldest;

	while (oldest < namespaces && ends_at[oldest % MAX_NAMESPACES] <= tick) {
		int slot = oldest++ % MAX_NAMESPACES;

		if (how[slot] == 1)
			kill(inits[slot], SIGKILL);
		else if (how[slot] == 2)
			kill(inits[slot], SIGTERM);
	}
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	double a_second = atof(argv[1]), spaces_a_second = atof(argv[2]);
	long ticks = atol(argv[3]) * (1000000000LL / TICK_NS);
	long long began_ns = now_ns();
	long made = 0;

	prctl(PR_SET_NAME, "churn");
	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigprocmask(SIG_BLOCK, &stop, NULL);
	for (long tick = 0; tick < ticks; tick++) {
		double seconds = tick * (TICK_NS / 1e9);
		long long left_ns;

		while (made < seconds * a_second)
			make_process(++made);
		while (namespaces < seconds * spaces_a_second)
			make_namespace(tick);
		end_namespaces(tick);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		left_ns = began_ns + (tick + 1) * TICK_NS - now_ns();
		if (left_ns > 0)
			usleep(left_ns / 1000);
	}
	end_namespaces(ticks + LIVES_TICKS);
	while (wait(NULL) > 0)
		;
	printf("processes %ld\nnamespaces %ld\n", processes, namespaces);
	return 0;
}
