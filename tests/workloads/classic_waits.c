// SPDX-License-Identifier: MIT
/*
 * One of the ways to be rid of one's children.
 *
 *   classic_waits wait|wnohang|handler|ignored|nocldwait|double CHILDREN
 *
 * Child number i exits with i % 251. The parent is PID 1 and ends with 0 when the
 * last is gone.
 * Truth: "child PID CODE" each, "middle PID" (double), "reaped PID RAWSTATUS" for
 * each wait that returned a child, "gone NS".
 */
#include "truth.h"

static volatile sig_atomic_t left;

static int reap(int options)
{
	int status;
	pid_t child = waitpid(-1, &status, options);

	if (child <= 0)
		return 0;
	truth("reaped %d %d\n", child, status);
	left--;
	return 1;
}

static void on_child(int signo)
{
	int before = errno;

	(void)signo;
	while (reap(WNOHANG))
		;
	errno = before;
}

static void fork_children(int number, int hold)
{
	for (int i = 0; i < number; i++) {
		pid_t child = fork_as("child");

		if (child == 0) {
			if (hold >= 0)
				await_closed(hold);
			_exit(i % 251);
		}
		truth("child %d %d\n", child, i % 251);
	}
}

static void fork_twice(int number)
{
	int ends[2];
	pid_t middle;

	ensure(pipe(ends) == 0, "pipe");
	middle = fork_as("middle");
	if (middle == 0) {
		close(ends[1]);
		fork_children(number, ends[0]);
		_exit(0);
	}
	truth("middle %d\n", middle);
	left = number + 1;
	reap(0);
	/* Its children are PID 1's by now, and may end. */
	close(ends[1]);
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = SIG_DFL, .sa_flags = SA_RESTART };
	const char *way;
	int number;

	ensure(argc == 3, "arguments");
	way = argv[1];
	number = atoi(argv[2]);
	left = number;
	truth_open();
	call_self("parent");
	if (!strcmp(way, "handler"))
		action.sa_handler = on_child;
	else if (!strcmp(way, "ignored"))
		action.sa_handler = SIG_IGN;
	else if (!strcmp(way, "nocldwait"))
		action.sa_flags = SA_NOCLDWAIT;
	ensure(sigaction(SIGCHLD, &action, NULL) == 0, "sigaction");
	if (!strcmp(way, "double"))
		fork_twice(number);
	else
		fork_children(number, -1);
	if (!strcmp(way, "handler")) {
		sigset_t blocked, none;

		sigemptyset(&none);
		sigemptyset(&blocked);
		sigaddset(&blocked, SIGCHLD);
		sigprocmask(SIG_BLOCK, &blocked, NULL);
		while (left > 0)
			sigsuspend(&none);
	} else if (!strcmp(way, "wnohang")) {
		while (left > 0)
			if (!reap(WNOHANG))
				age_ms(2);
	} else {
		while (reap(0))
			;
		ensure(errno == ECHILD, "waitpid");
	}
	truth("gone %lld\n", boot_ns());
	return 0;
}
