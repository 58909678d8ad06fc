// SPDX-License-Identifier: MIT
/*
 * init -> B -> C: PID 1 waits for anybody, B for nobody, the Cs are dead.
 *
 *   classic_bc CHILDREN AGE_MS wait|die|stay
 *
 * B lets its zombies age, then waits for them and ends; ends without; or stays.
 * C number i exits with i % 251. PID 1 ends with 0 when it has no child left.
 * Truth: "b PID", "c PID CODE" each, "dead NS" (all Cs are), "aged NS", "bwaited
 * PID RAWSTATUS", "freed NS" (after that), "initwaited PID RAWSTATUS" in order, "ready".
 */
#include "truth.h"

static void play_b(int number, int ms, const char *way)
{
	pid_t *children = calloc(number, sizeof(*children));
	int status;

	ensure(children != NULL, "calloc");
	for (int i = 0; i < number; i++) {
		children[i] = fork_as("c");
		if (children[i] == 0)
			_exit(i % 251);
		truth("c %d %d\n", children[i], i % 251);
	}
	for (int i = 0; i < number; i++)
		await_zombie(children[i]);
	truth("dead %lld\n", boot_ns());
	age_ms(ms);
	truth("aged %lld\n", boot_ns());
	for (int i = 0; !strcmp(way, "wait") && i < number; i++) {
		ensure(waitpid(children[i], &status, 0) == children[i], "waitpid");
		truth("bwaited %d %d\n", children[i], status);
	}
	truth("freed %lld\n", boot_ns());
	truth("ready\n");
	if (!strcmp(way, "stay"))
		pause_for_ever();
	_exit(0);
}

int main(int argc, char **argv)
{
	int status;
	pid_t b, child;

	ensure(argc == 4, "arguments");
	truth_open();
	call_self("a");
	b = fork_as("b");
	if (b == 0)
		play_b(atoi(argv[1]), atoi(argv[2]), argv[3]);
	truth("b %d\n", b);
	exit_0_on(SIGTERM);
	while ((child = waitpid(-1, &status, 0)) > 0)
		truth("initwaited %d %d\n", child, status);
	return 0;
}
