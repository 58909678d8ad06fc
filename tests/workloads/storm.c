// SPDX-License-Identifier: MIT
/*
 * Forks as fast as it can until it is told to stop, with as many in flight as
 * given; every second child dies by SIGKILL. On SIGTERM it waits for the rest and
 * writes down how many there were: "storm N".
 *
 *   storm WIDTH
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t over;

static void on_term(int signo)
{
	(void)signo;
	over = 1;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_term };
	int width = argc > 1 ? atoi(argv[1]) : 1, flying = 0;
	long number = 0;

	sigaction(SIGTERM, &action, NULL);
	printf("ready\n");
	fflush(stdout);
	while (!over || flying) {
		if (!over && flying < width) {
			pid_t child = fork();

			if (child == 0) {
				if (number % 2)
					raise(SIGKILL);
				_exit(3);
			}
			if (child > 0) {
				number++;
				flying++;
			}
			continue;
		}
		if (wait(NULL) > 0)
			flying--;
	}
	printf("storm %ld\n", number);
	return 0;
}
