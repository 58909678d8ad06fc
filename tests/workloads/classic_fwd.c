// SPDX-License-Identifier: MIT
/*
 * fwd-sig: a parent of workers that tells none of them.
 *
 *   classic_fwd WORKERS handler|default|ignore
 *
 * Truth: "parent PID", "worker PID" each, "ready", "term" (its handler ran).
 */
#include "truth.h"

static void on_term(int signo)
{
	(void)signo;
	truth("term\n");
	_exit(0);
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = SIG_DFL };

	ensure(argc == 3, "arguments");
	truth_open();
	call_self("fwd-sig");
	truth("parent %d\n", getpid());
	for (int i = 0; i < atoi(argv[1]); i++) {
		pid_t child = fork_as("worker");

		if (child == 0)
			pause_for_ever();
		truth("worker %d\n", child);
	}
	if (!strcmp(argv[2], "handler"))
		action.sa_handler = on_term;
	else if (!strcmp(argv[2], "ignore"))
		action.sa_handler = SIG_IGN;
	ensure(sigaction(SIGTERM, &action, NULL) == 0, "sigaction");
	truth("ready\n");
	pause_for_ever();
}
