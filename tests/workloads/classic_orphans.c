// SPDX-License-Identifier: MIT
/*
 * Children that lose their parent, and who gets them.
 *
 *   classic_orphans thread|subreaper|init NUMBER
 *
 *   thread     a thread forks them and ends; the main thread waits for them,
 *   subreaper  a middle process forks them and ends; this one is a subreaper and
 *              waits for them,
 *   init       the same, but this one is none: they are PID 1's.
 * Orphan number i exits with i % 251, once its parent is another one.
 * Truth: "family PID", "middle PID", "orphan PID CODE" each, "heir PID PARENT"
 * (what getppid says at the end), "reaped PID RAWSTATUS", "state PID LETTER"
 * (init: Z, or - when it is gone), "ready".
 */
#include <pthread.h>
#include <dirent.h>

#include "truth.h"

static int number;
static int hold[2];
static pid_t *orphans;

static void fork_orphans(void)
{
	for (int i = 0; i < number; i++) {
		orphans[i] = fork_as("orphan");
		if (orphans[i] == 0) {
			close(hold[1]);
			await_closed(hold[0]);
			truth("heir %d %d\n", getpid(), getppid());
			_exit(i % 251);
		}
		truth("orphan %d %d\n", orphans[i], i % 251);
	}
}

static void *fork_in_thread(void *unused)
{
	fork_orphans();
	return unused;
}

static int threads(void)
{
	DIR *directory = opendir("/proc/self/task");
	int entries = 0;

	ensure(directory != NULL, "/proc/self/task");
	while (readdir(directory))
		entries++;
	closedir(directory);
	return entries - 2;
}

static void lose_thread(void)
{
	pthread_t thread;

	ensure(pthread_create(&thread, NULL, fork_in_thread, NULL) == 0, "thread");
	ensure(pthread_join(thread, NULL) == 0, "join");
	/* join returns a moment before the kernel has handed its children on. */
	while (threads() > 1)
		age_ms(1);
}

static void lose_middle(void)
{
	int pids[2];
	pid_t middle;

	ensure(pipe(pids) == 0, "pipe");
	middle = fork_as("middle");
	if (middle == 0) {
		fork_orphans();
		ensure(write(pids[1], orphans, number * sizeof(*orphans)) > 0, "write");
		_exit(0);
	}
	truth("middle %d\n", middle);
	ensure(read(pids[0], orphans, number * sizeof(*orphans)) ==
		       (ssize_t)(number * sizeof(*orphans)),
	       "read");
	ensure(waitpid(middle, NULL, 0) == middle, "waitpid");
}

int main(int argc, char **argv)
{
	int is_init;

	ensure(argc == 3, "arguments");
	is_init = !strcmp(argv[1], "init");
	number = atoi(argv[2]);
	orphans = calloc(number, sizeof(*orphans));
	ensure(orphans && pipe(hold) == 0, "memory, pipe");
	truth_open();
	call_self("family");
	truth("family %d\n", getpid());
	if (!strcmp(argv[1], "thread")) {
		lose_thread();
	} else {
		if (!is_init)
			ensure(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0, "subreaper");
		lose_middle();
	}
	close(hold[1]);
	for (int i = 0; i < number; i++) {
		if (is_init) {
			char state;

			do {
				age_ms(1);
				state = state_of(orphans[i]);
			} while (state != 'Z' && state != '-');
			truth("state %d %c\n", orphans[i], state);
		} else {
			int status;

			ensure(waitpid(orphans[i], &status, 0) == orphans[i], "waitpid");
			truth("reaped %d %d\n", orphans[i], status);
		}
	}
	truth("ready\n");
	if (is_init)
		pause_for_ever();
	return 0;
}
