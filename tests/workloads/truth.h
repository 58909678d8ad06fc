/* SPDX-License-Identifier: MIT */
/*
 * How the workloads of the classic cases write down what they know of
 * themselves: lines of words in the file that ZT_TRUTH names. Pids are those of
 * their own namespace, times CLOCK_BOOTTIME in ns.
 */
#ifndef TRUTH_H
#define TRUTH_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int truth_fd = -1;

static inline void ensure(int good, const char *what)
{
	if (good)
		return;
	perror(what);
	_exit(99);
}

static inline void truth_open(void)
{
	const char *path = getenv("ZT_TRUTH");

	ensure(path != NULL, "ZT_TRUTH");
	truth_fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	ensure(truth_fd >= 0, path);
}

__attribute__((format(printf, 1, 2))) static inline void truth(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vdprintf(truth_fd, format, arguments);
	va_end(arguments);
}

static inline void call_self(const char *comm)
{
	ensure(prctl(PR_SET_NAME, comm) == 0, "PR_SET_NAME");
}

static inline long long boot_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* Let zombies age: what a test of their age is about. */
static inline void age_ms(int ms)
{
	struct timespec left = { ms / 1000, ms % 1000 * 1000000L };

	while (nanosleep(&left, &left) && errno == EINTR)
		;
}

static inline pid_t fork_as(const char *comm)
{
	pid_t child = fork();

	ensure(child >= 0, "fork");
	if (child == 0)
		call_self(comm);
	return child;
}

/* Wait until a child is dead, and leave the zombie where it is. */
static inline void await_zombie(pid_t child)
{
	siginfo_t info;

	ensure(waitid(P_PID, child, &info, WEXITED | WNOWAIT) == 0, "waitid");
}

static inline void await_closed(int fd)
{
	char letter;

	while (read(fd, &letter, 1) < 0 && errno == EINTR)
		;
}

static inline char state_of(pid_t pid)
{
	char path[64], line[512], *end;
	FILE *stat;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	stat = fopen(path, "re");
	if (!stat)
		return '-';
	end = fgets(line, sizeof(line), stat) ? strrchr(line, ')') : NULL;
	fclose(stat);
	return end ? end[2] : '-';
}

static inline void await_state(pid_t pid, char wanted)
{
	while (state_of(pid) != wanted)
		age_ms(1);
}

static inline void exit_well(int signo)
{
	(void)signo;
	_exit(0);
}

static inline void exit_0_on(int signo)
{
	struct sigaction action = { .sa_handler = exit_well };

	ensure(sigaction(signo, &action, NULL) == 0, "sigaction");
}

static inline void pause_for_ever(void)
{
	for (;;)
		pause();
}

#endif
