/* SPDX-License-Identifier: MIT */
/*
 * The storms of the driver: what one worker does, and the board on which all of
 * them write down how much it was.
 */
#ifndef STORMS_H
#define STORMS_H

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_WORKERS 64

/* A line of cache each: workers shall not slow each other down. */
struct account {
	_Alignas(64) long long begin_ns, end_ns;
	long processes, signals, failed;
};

static struct board {
	_Alignas(64) atomic_int waiting;
	_Alignas(64) atomic_int started;
	_Alignas(64) atomic_long left;
	struct account accounts[MAX_WORKERS];
	_Alignas(64) long long pinged_ns;
} * board;

/* What the children of an exec storm execute. */
static char *exec_program;

static void ensure(bool good, const char *what)
{
	if (good)
		return;
	perror(what);
	_exit(99);
}

static long long now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void call_self(const char *comm)
{
	ensure(prctl(PR_SET_NAME, comm) == 0, "PR_SET_NAME");
}

static void die_with_parent(pid_t parent)
{
	ensure(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0, "PR_SET_PDEATHSIG");
	if (getppid() != parent)
		_exit(0);
}

static void wait_for(pid_t child)
{
	while (waitpid(child, NULL, 0) < 0)
		ensure(errno == EINTR, "waitpid");
}

static void fork_once(struct account *account)
{
	pid_t child = fork();

	if (child == 0)
		_exit(0);
	if (child < 0) {
		account->failed++;
		return;
	}
	wait_for(child);
	account->processes++;
}

static bool is_more_to_do(void)
{
	return atomic_fetch_sub(&board->left, 1) > 0;
}

static void fork_storm(struct account *account, long number)
{
	(void)number;
	while (is_more_to_do())
		fork_once(account);
}

static void fork_storm_for(struct account *account, long ms)
{
	long long deadline = now_ns() + ms * 1000000LL;

	while (now_ns() < deadline)
		fork_once(account);
}

static void exec_storm(struct account *account, long number)
{
	char *argv[] = { "zb-exec", NULL }, *envp[] = { NULL };
	pid_t child;

	(void)number;
	while (is_more_to_do()) {
		child = fork();
		if (child == 0) {
			execve(exec_program, argv, envp);
			_exit(127);
		}
		if (child < 0) {
			account->failed++;
			continue;
		}
		wait_for(child);
		account->processes++;
	}
}

static volatile sig_atomic_t caught;

static void catch (int signo)
{
	(void)signo;
	caught++;
}

/* Each side waits for the other's signal before it sends: none is ever merged. */
static void signal_storm(struct account *account, long number)
{
	struct sigaction action = { .sa_handler = catch };
	sigset_t usr1, before;
	pid_t self = getpid(), partner;
	long sent;

	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	ensure(sigaction(SIGUSR1, &action, NULL) == 0, "sigaction");
	ensure(sigprocmask(SIG_BLOCK, &usr1, &before) == 0, "sigprocmask");
	partner = fork();
	ensure(partner >= 0, "fork");
	if (partner == 0) {
		die_with_parent(self);
		for (sent = 0; sent < number; sent++) {
			while (caught == sent)
				sigsuspend(&before);
			kill(self, SIGUSR1);
		}
		_exit(0);
	}
	for (sent = 0; sent < number; sent++) {
		ensure(kill(partner, SIGUSR1) == 0, "kill");
		while (caught == sent)
			sigsuspend(&before);
	}
	wait_for(partner);
	account->signals = 2 * number;
}

#endif
