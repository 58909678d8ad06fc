// SPDX-License-Identifier: MIT
/*
 * The same signals to children that have arranged different things for them.
 *
 *   classic_dispositions COPIES
 *
 * COPIES of each kind: ignored, caught, default, reset (SA_RESETHAND), blocked,
 * sigwait (blocked, and waited for). Each gets SIGTERM; reset gets it twice;
 * ignored, caught and blocked get SIGSTOP, then SIGKILL.
 * Truth: "KIND PID", "sent PID SIGNO DISPOSITION" in order, "handled PID",
 * "stopped PID RAWSTATUS", "reaped PID RAWSTATUS", "refused SIGNO ERRNO".
 */
#include "truth.h"

enum kind { IGNORED, CAUGHT, DEFAULT, RESET, BLOCKED, SIGWAIT, KINDS };

static const char *const names[] = {
	"ignored", "caught", "default", "reset", "blocked", "sigwait"
};
static int told[2];
static volatile sig_atomic_t has_run;

static void on_term(int signo)
{
	(void)signo;
	has_run = 1;
}

static void play(enum kind kind)
{
	struct sigaction action = { .sa_handler = SIG_DFL };
	sigset_t set;
	int signo;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	if (kind == IGNORED)
		action.sa_handler = SIG_IGN;
	if (kind == CAUGHT || kind == RESET)
		action.sa_handler = on_term;
	if (kind == RESET)
		action.sa_flags = SA_RESETHAND;
	ensure(sigaction(SIGTERM, &action, NULL) == 0, "sigaction");
	if (kind == BLOCKED || kind == SIGWAIT)
		sigprocmask(SIG_BLOCK, &set, NULL);
	ensure(write(told[1], "r", 1) == 1, "write");
	if (kind == SIGWAIT) {
		ensure(sigwait(&set, &signo) == 0 && signo == SIGTERM, "sigwait");
		truth("handled %d\n", getpid());
		_exit(21);
	}
	if (kind == CAUGHT || kind == RESET) {
		/* Told only after the return: while it runs SIGTERM is blocked. */
		while (!has_run)
			age_ms(1);
		truth("handled %d\n", getpid());
		ensure(write(told[1], "h", 1) == 1, "write");
	}
	pause_for_ever();
}

static void send(pid_t child, int signo, const char *disposition)
{
	truth("sent %d %d %s\n", child, signo, disposition);
	ensure(kill(child, signo) == 0, "kill");
}

static void expect(char wanted)
{
	char got = 0;

	while (read(told[0], &got, 1) < 0 && errno == EINTR)
		;
	ensure(got == wanted, "what a child told");
}

static void reap(pid_t child)
{
	int status;

	ensure(waitpid(child, &status, 0) == child, "waitpid");
	truth("reaped %d %d\n", child, status);
}

static void try_each(const pid_t *children)
{
	int status;

	send(children[IGNORED], SIGTERM, "ignored");
	send(children[CAUGHT], SIGTERM, "caught");
	expect('h');
	send(children[DEFAULT], SIGTERM, "default");
	reap(children[DEFAULT]);
	send(children[RESET], SIGTERM, "caught");
	expect('h');
	send(children[RESET], SIGTERM, "default");
	reap(children[RESET]);
	send(children[BLOCKED], SIGTERM, "blocked");
	send(children[SIGWAIT], SIGTERM, "blocked");
	reap(children[SIGWAIT]);
	for (enum kind kind = IGNORED; kind < KINDS; kind++) {
		if (kind != IGNORED && kind != CAUGHT && kind != BLOCKED)
			continue;
		send(children[kind], SIGSTOP, "default");
		ensure(waitpid(children[kind], &status, WUNTRACED) == children[kind], "stop");
		truth("stopped %d %d\n", children[kind], status);
		send(children[kind], SIGKILL, "default");
		reap(children[kind]);
	}
}

int main(int argc, char **argv)
{
	static const int uncatchable[] = { SIGKILL, SIGSTOP };
	pid_t children[KINDS];

	ensure(argc == 2, "arguments");
	truth_open();
	call_self("pid-1");
	ensure(pipe(told) == 0, "pipe");
	for (int copy = 0; copy < atoi(argv[1]); copy++) {
		for (enum kind kind = 0; kind < KINDS; kind++) {
			children[kind] = fork_as(names[kind]);
			if (children[kind] == 0)
				play(kind);
			truth("%s %d\n", names[kind], children[kind]);
			expect('r');
		}
		try_each(children);
	}
	for (int i = 0; i < 2; i++) {
		errno = 0;
		signal(uncatchable[i], SIG_IGN);
		truth("refused %d %d\n", uncatchable[i], errno);
	}
	return 0;
}
