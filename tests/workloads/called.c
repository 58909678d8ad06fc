// SPDX-License-Identifier: MIT
/*
 * PID 1 whose children have the names given, as hexadecimal bytes.
 *
 *   called HEX...
 *
 * Each child takes its name by prctl, which knows no forbidden bytes, and pauses.
 * Once all have: "ready". On SIGTERM the parent exits with 0.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

static void be_called(const char *hex, int ready_fd)
{
	char name[16] = "";

	for (int i = 0; i < 15 && hex[2 * i]; i++) {
		unsigned int byte;

		if (sscanf(hex + 2 * i, "%2x", &byte) != 1)
			_exit(2);
		name[i] = (char)byte;
	}
	prctl(PR_SET_NAME, name);
	if (write(ready_fd, "r", 1) != 1)
		_exit(3);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	sigset_t term;
	int ready[2], signo;
	char letter;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	if (pipe(ready) != 0)
		return 4;
	for (int i = 1; i < argc; i++)
		if (fork() == 0)
			be_called(argv[i], ready[1]);
	for (int i = 1; i < argc; i++)
		if (read(ready[0], &letter, 1) != 1)
			return 5;
	printf("ready\n");
	fflush(stdout);
	sigwait(&term, &signo);
	return 0;
}
