// SPDX-License-Identifier: MIT
/*
 * PID 1 that ends as it should, in a way that may look like a fault.
 *
 *   innocent MODE CHILDREN
 *
 *   twice     on the first SIGTERM it passes it on and waits for its children; it
 *             lives on until a second one comes
 *   sigwait   it has no handler: it waits for SIGTERM (sigwait), then passes it on
 *   quit      on SIGTERM it sends its children SIGQUIT
 *   pipe      on SIGTERM it closes a pipe: its children read its end, and exit
 *   leave     on SIGTERM it says nothing to anyone: its children see for themselves
 *             that it is closing down, and exit
 *   reload    on SIGHUP it starts as many new children, and sends the old ones SIGQUIT,
 *             on which they exit; on SIGTERM it sends all SIGTERM, on which they exit
 *
 * All exit with 0 once their last child is reaped. Written down, a line each: "child
 * PID" at each birth, "waited PID RAWSTATUS", "ready", "term 1" (twice), "reloaded".
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_CHILDREN 256

static volatile sig_atomic_t terms, hups;
static volatile int *closing; /* seen by all */
static int lifeline[2], born[2];
static pid_t children[MAX_CHILDREN];
static int count;

static void ensure(int good, const char *what)
{
	if (good)
		return;
	perror(what);
	exit(99);
}

static void on_signal(int signo)
{
	if (signo == SIGHUP)
		hups++;
	else
		terms++;
}

static void leave(int signo)
{
	(void)signo;
	_exit(0);
}

static void handle(int signo, void (*handler)(int))
{
	struct sigaction action = { .sa_handler = handler };

	ensure(sigaction(signo, &action, NULL) == 0, "sigaction");
}

static void live(const char *mode)
{
	const struct rlimit none = { 0, 0 };
	const struct timespec moment = { 0, 5000000 };
	sigset_t nothing;
	char letter;

	handle(SIGTERM, strcmp(mode, "reload") == 0 ? leave : SIG_DFL);
	handle(SIGHUP, SIG_DFL);
	if (strcmp(mode, "reload") == 0)
		handle(SIGQUIT, leave);
	setrlimit(RLIMIT_CORE, &none);
	close(lifeline[1]);
	sigemptyset(&nothing);
	sigprocmask(SIG_SETMASK, &nothing, NULL);
	ensure(write(born[1], "b", 1) == 1, "write");
	if (strcmp(mode, "pipe") == 0)
		_exit(read(lifeline[0], &letter, 1) == 0 ? 0 : 98);
	while (strcmp(mode, "leave") == 0 && !*closing)
		nanosleep(&moment, NULL);
	while (strcmp(mode, "leave") != 0)
		pause();
	_exit(0);
}

static void start(const char *mode, int number)
{
	char letter;

	for (int i = 0; i < number; i++) {
		pid_t child = fork();

		ensure(child >= 0, "fork");
		if (child == 0)
			live(mode);
		children[count++] = child;
		ensure(read(born[0], &letter, 1) == 1, "read");
		printf("child %d\n", child);
	}
}

static void tell(int from, int to, int signo)
{
	for (int i = from; i < to; i++)
		ensure(kill(children[i], signo) == 0, "kill");
}

static void wait_for(int number)
{
	for (int i = 0; i < number; i++) {
		int status;
		pid_t child = waitpid(-1, &status, 0);

		ensure(child > 0, "waitpid");
		printf("waited %d %d\n", child, status);
	}
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	int number = argc > 2 ? atoi(argv[2]) : 1, signo, old = 0;
	int waits = strcmp(mode, "sigwait") == 0;
	sigset_t wanted, before;

	ensure(number > 0 && 2 * number <= MAX_CHILDREN, "usage");
	setvbuf(stdout, NULL, _IOLBF, 0);
	closing = mmap(NULL, sizeof(*closing), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	ensure(closing != MAP_FAILED && pipe(lifeline) == 0 && pipe(born) == 0, "setup");
	sigemptyset(&wanted);
	sigaddset(&wanted, SIGTERM);
	sigaddset(&wanted, SIGHUP);
	sigprocmask(SIG_BLOCK, &wanted, &before);
	if (!waits) {
		handle(SIGTERM, on_signal);
		if (strcmp(mode, "reload") == 0)
			handle(SIGHUP, on_signal);
	}
	start(mode, number);
	printf("ready\n");
	if (waits) {
		do
			ensure(sigwait(&wanted, &signo) == 0, "sigwait");
		while (signo != SIGTERM);
	}
	while (!waits && !terms) {
		sigsuspend(&before);
		if (hups) {
			hups = 0;
			start(mode, number);
			tell(old, old + number, SIGQUIT);
			old += number;
			wait_for(number);
			printf("reloaded\n");
		}
	}
	if (strcmp(mode, "pipe") == 0)
		close(lifeline[1]);
	else if (strcmp(mode, "leave") == 0)
		*closing = 1;
	else
		tell(old, count, strcmp(mode, "quit") == 0 ? SIGQUIT : SIGTERM);
	wait_for(number);
	if (strcmp(mode, "twice") == 0) {
		printf("term 1\n");
		while (terms < 2)
			sigsuspend(&before);
	}
	return 0;
}
