// SPDX-License-Identifier: MIT
/*
 * Every wait status there is, as waitpid tells it to PID 1.
 *
 *   classic_statuses DIRECTORY
 *
 * Children exit with each of some codes, and die of each signal whose default
 * action ends a process, sent by PID 1; those that may dump core do it into
 * DIRECTORY. One is stopped and continued before it ends.
 * Truth: "child PID RAWSTATUS" each, "stopped PID RAWSTATUS", "continued PID
 * RAWSTATUS".
 */
#include <sys/resource.h>

#include "truth.h"

static int told[2];

static int ends_by_default(int signo)
{
	switch (signo) {
	case SIGCHLD:
	case SIGCONT:
	case SIGURG:
	case SIGWINCH:
	case SIGSTOP:
	case SIGTSTP:
	case SIGTTIN:
	case SIGTTOU:
	case 32:
	case 33:
		return 0;
	}
	return 1;
}

static pid_t start_pausing(const char *comm)
{
	pid_t child = fork_as(comm);
	char letter;

	if (child == 0) {
		ensure(write(told[1], "r", 1) == 1, "write");
		pause_for_ever();
	}
	ensure(read(told[0], &letter, 1) == 1, "read");
	return child;
}

static void reap(pid_t child, int options, const char *word)
{
	int status;

	ensure(waitpid(child, &status, options) == child, "waitpid");
	truth("%s %d %d\n", word, child, status);
}

int main(int argc, char **argv)
{
	static const int codes[] = { 0, 1, 2, 7, 42, 65, 99, 126, 127, 128, 137, 143, 255 };
	struct rlimit limit;
	pid_t child;

	ensure(argc == 2 && chdir(argv[1]) == 0, "directory");
	/* Whoever started all this may have ignored some: nohup(1) does SIGHUP. */
	for (int signo = 1; signo <= 64; signo++)
		signal(signo, SIG_DFL);
	ensure(getrlimit(RLIMIT_CORE, &limit) == 0, "getrlimit");
	limit.rlim_cur = limit.rlim_max;
	ensure(setrlimit(RLIMIT_CORE, &limit) == 0, "setrlimit");
	truth_open();
	call_self("pid-1");
	ensure(pipe(told) == 0, "pipe");
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		child = fork_as("exits");
		if (child == 0)
			_exit(codes[i]);
		reap(child, 0, "child");
	}
	for (int signo = 1; signo <= 64; signo++) {
		if (!ends_by_default(signo))
			continue;
		child = start_pausing("dies");
		ensure(kill(child, signo) == 0, "kill");
		reap(child, 0, "child");
	}
	child = start_pausing("stops");
	ensure(kill(child, SIGSTOP) == 0, "kill");
	reap(child, WUNTRACED, "stopped");
	ensure(kill(child, SIGCONT) == 0, "kill");
	reap(child, WCONTINUED, "continued");
	ensure(kill(child, SIGTERM) == 0, "kill");
	reap(child, 0, "child");
	return 0;
}
