// SPDX-License-Identifier: MIT
/*
 * PID 1 with zombies and live children, and one way of dealing with SIGTERM.
 *
 *   family ZOMBIES LIVE exit|forward|default|ignore|hang
 *
 * Of the ZOMBIES children number i (from 0) ends with status i % 256 and is not
 * waited for; the LIVE ones pause. On SIGTERM the parent
 *   exit     exits with 0 and tells no one,
 *   forward  sends SIGTERM to every live child, waits for those, exits with 0,
 *   default  has no handler,
 *   ignore   ignores it,
 *   hang     has a handler that does nothing.
 * It writes down what it did, a line each: "zombie PID STATUS" (dead, as waitid
 * with WNOWAIT tells it), "live PID", "ready", "term", "waited PID RAWSTATUS".
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_LIVE 1024

static int told[2];

static void on_term(int signo)
{
	char letter = (char)signo;

	if (write(told[1], &letter, 1) != 1)
		_exit(98);
}

static void ensure(int good, const char *what)
{
	if (good)
		return;
	perror(what);
	exit(99);
}

static void make_zombie(int number)
{
	siginfo_t info;
	pid_t child = fork();

	ensure(child >= 0, "fork");
	if (child == 0)
		_exit(number % 256);
	ensure(waitid(P_PID, child, &info, WEXITED | WNOWAIT) == 0, "waitid");
	printf("zombie %d %d\n", child, info.si_status);
}

static pid_t make_live(void)
{
	pid_t child = fork();

	ensure(child >= 0, "fork");
	if (child == 0) {
		signal(SIGTERM, SIG_DFL);
		for (;;)
			pause();
	}
	printf("live %d\n", child);
	return child;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_term };
	pid_t live[MAX_LIVE];
	const char *way;
	int zombies, number;
	char letter;

	ensure(argc == 4, "usage: family ZOMBIES LIVE WAY");
	zombies = atoi(argv[1]);
	number = atoi(argv[2]);
	way = argv[3];
	ensure(number <= MAX_LIVE, "too many");
	setvbuf(stdout, NULL, _IOLBF, 0);

	ensure(pipe(told) == 0, "pipe");
	for (int i = 0; i < zombies; i++)
		make_zombie(i);
	for (int i = 0; i < number; i++)
		live[i] = make_live();
	if (strcmp(way, "ignore") == 0)
		action.sa_handler = SIG_IGN;
	if (strcmp(way, "default") != 0)
		sigaction(SIGTERM, &action, NULL);
	printf("ready\n");
	if (strcmp(way, "exit") != 0 && strcmp(way, "forward") != 0)
		for (;;)
			pause();

	while (read(told[0], &letter, 1) != 1)
		;
	printf("term\n");
	if (strcmp(way, "forward") == 0) {
		for (int i = 0; i < number; i++)
			kill(live[i], SIGTERM);
		for (int i = 0; i < number; i++) {
			int status;

			ensure(waitpid(live[i], &status, 0) == live[i], "waitpid");
			printf("waited %d %d\n", live[i], status);
		}
	}
	return 0;
}
