// SPDX-License-Identifier: MIT
/*
 * PID 1 that makes zombies and keeps them, until it has enough or a fork fails.
 *
 *   fill NUMBER [LIVE]
 *
 * LIVE children pause from the start. Written down: "zombies N", then "refused
 * ERRNO" if a fork failed, then "ready"; on SIGTERM it exits with 0, on SIGUSR1 it
 * tries NUMBER more.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int number = argc > 1 ? atoi(argv[1]) : 1, live = argc > 2 ? atoi(argv[2]) : 0, signo;
	sigset_t told;

	sigemptyset(&told);
	sigaddset(&told, SIGTERM);
	sigaddset(&told, SIGUSR1);
	sigprocmask(SIG_BLOCK, &told, NULL);
	for (int i = 0; i < live; i++)
		if (fork() == 0)
			for (;;)
				pause();
	do {
		int made = 0, refused = 0;
		siginfo_t info;

		while (made < number && !refused) {
			pid_t child = fork();

			if (child == 0)
				_exit(0);
			if (child < 0)
				refused = errno;
			else if (waitid(P_PID, child, &info, WEXITED | WNOWAIT) == 0)
				made++;
		}
		printf("zombies %d\n", made);
		if (refused)
			printf("refused %d\n", refused);
		printf("ready\n");
		fflush(stdout);
		sigwait(&told, &signo);
	} while (signo == SIGUSR1);
	return 0;
}
