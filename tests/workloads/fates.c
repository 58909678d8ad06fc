// SPDX-License-Identifier: MIT
/*
 * PID 1 whose children each end in one way, one after the other, all waited for.
 *
 *   fates WAY...
 *
 * Ways: exit:N; abort; raise:SIGNAL; kill:SIGNAL (its parent kills it while it
 * pauses); segv, bus, ill, fpe, trap (the processor's own faults); queue:SIGNAL
 * (to itself by sigqueue); thread:N (the leader ends first, another thread exits
 * with N).
 * Written down, a line each: "child PID WAY RAWSTATUS", then "done"; then it
 * waits for SIGTERM and exits with 0.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void ensure(int good, const char *what)
{
	if (good)
		return;
	perror(what);
	exit(99);
}

static void *exit_later(void *status)
{
	/* Until the leader is a zombie: its state is the third field of stat. */
	for (;;) {
		char text[256] = "";
		FILE *stat = fopen("/proc/self/stat", "r");

		ensure(stat && fgets(text, sizeof(text), stat), "stat");
		fclose(stat);
		if (strstr(text, ") Z ")) {
			syscall(SYS_exit_group, (int)(long)status);
		}
		sched_yield();
	}
	return NULL;
}

static void touch_beyond_the_end(void)
{
	FILE *file = tmpfile();
	volatile char *page;

	ensure(file != NULL, "tmpfile");
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
	ensure(page != MAP_FAILED, "mmap");
	*page = 1;
}

static void end(const char *way, int number)
{
	union sigval value = { 0 };
	volatile int zero = 0;
	pthread_t thread;

	if (strcmp(way, "exit") == 0)
		_exit(number);
	if (strcmp(way, "abort") == 0)
		abort();
	if (strcmp(way, "raise") == 0)
		raise(number);
	if (strcmp(way, "queue") == 0)
		sigqueue(getpid(), number, value);
	if (strcmp(way, "segv") == 0)
		*(volatile int *)8 = 1;
	if (strcmp(way, "bus") == 0)
		touch_beyond_the_end();
#if defined(__x86_64__)
	if (strcmp(way, "ill") == 0)
		__asm__ volatile("ud2");
	if (strcmp(way, "trap") == 0)
		__asm__ volatile("int3");
	if (strcmp(way, "fpe") == 0)
		__asm__ volatile("idivl %0" : : "m"(zero) : "eax", "edx");
#else
	if (strcmp(way, "ill") == 0)
		__builtin_trap();
#endif
	(void)zero;
	if (strcmp(way, "thread") == 0) {
		ensure(pthread_create(&thread, NULL, exit_later, (void *)(long)number) == 0,
		       "pthread_create");
		syscall(SYS_exit, 0);
	}
	if (strcmp(way, "kill") == 0)
		for (;;)
			pause();
	_exit(98);
}

static void run(const char *spec)
{
	char way[32];
	int number = 0, status;
	pid_t child;

	ensure(sscanf(spec, "%31[^:]:%d", way, &number) >= 1, spec);
	child = fork();
	ensure(child >= 0, "fork");
	if (child == 0)
		end(way, number);
	if (strcmp(way, "kill") == 0)
		ensure(kill(child, number) == 0, "kill");
	ensure(waitpid(child, &status, 0) == child, "waitpid");
	printf("child %d %s %d\n", child, spec, status);
}

int main(int argc, char **argv)
{
	sigset_t term;
	int signo;

	setvbuf(stdout, NULL, _IOLBF, 0);
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	/* A shell starts what is in the background with SIGINT and SIGQUIT ignored. */
	for (int i = 1; i < 32; i++)
		signal(i, SIG_DFL);
	for (int i = 1; i < argc; i++)
		run(argv[i]);
	sigprocmask(SIG_BLOCK, &term, NULL);
	printf("done\n");
	sigwait(&term, &signo);
	return 0;
}
