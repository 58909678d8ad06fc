// SPDX-License-Identifier: MIT
/*
 * PID 1 whose children are born, renamed and replaced in unusual ways.
 *
 *   odd WAY...
 *
 *   vfork        vfork, then exec of itself, which exits with 21
 *   exitsig:S    clone with exit signal S (0: none), exits with 22, waited for
 *   exec         exec of itself, which exits with 23
 *   mtexec       a thread execs itself, which exits with 24; the leader is gone
 *   rename       calls itself "renamed", then is killed by PID 1
 *   nested       makes a PID namespace of its own; its init leaves two children
 *                behind and exits with 25
 *   outlives     the same, but that init is alive when PID 1 ends
 *   supervise    on SIGTERM PID 1 sends SIGTERM to an "obedient" child, and SIGKILL to
 *                a "deaf" one that has ignored it
 *   exit N       (what is exec'd) exits with N
 *
 * Written down, a line each: "child PID WAY RAWSTATUS", "left PID WAY", then "ready";
 * PID 1 exits with 0 on SIGTERM.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int ready[2];
static pid_t obedient, deaf;

static void ensure(int good, const char *what)
{
	if (good)
		return;
	perror(what);
	exit(99);
}

static void say(void)
{
	ensure(write(ready[1], "r", 1) == 1, "write");
}

static void hear(void)
{
	char letter;

	ensure(read(ready[0], &letter, 1) == 1, "read");
}

static void forever(void)
{
	for (;;)
		pause();
}

static void become_exit(const char *number)
{
	execl("/proc/self/exe", "odd", "exit", number, (char *)NULL);
	_exit(98);
}

static void *exec_in_a_thread(void *number)
{
	become_exit(number);
	return NULL;
}

static pid_t start(void)
{
	pid_t child = fork();

	ensure(child >= 0, "fork");
	return child;
}

static void wait_for(pid_t child, const char *spec)
{
	int status;

	ensure(waitpid(child, &status, __WALL) == child, "waitpid");
	printf("child %d %s %d\n", child, spec, status);
}

static int lead_a_namespace(int stays)
{
	for (int i = 0; i < 2; i++)
		if (start() == 0) {
			say();
			forever();
		}
	hear();
	hear();
	if (stays) {
		say();
		forever();
	}
	_exit(25);
}

static void nest(const char *spec, int stays)
{
	pid_t child = start();

	if (child == 0) {
		int status;
		pid_t init;

		ensure(unshare(CLONE_NEWPID) == 0, "unshare");
		init = start();
		if (init == 0)
			lead_a_namespace(stays);
		ensure(waitpid(init, &status, 0) == init, "waitpid");
		_exit(WEXITSTATUS(status));
	}
	if (!stays)
		return wait_for(child, spec);
	for (int i = 0; i < 1; i++)
		hear();
	printf("left %d %s\n", child, spec);
}

static pid_t named(const char *name, int is_deaf)
{
	pid_t child = start();

	if (child == 0) {
		prctl(PR_SET_NAME, name);
		signal(SIGTERM, is_deaf ? SIG_IGN : SIG_DFL);
		say();
		forever();
	}
	hear();
	printf("left %d %s\n", child, name);
	return child;
}

static void run(const char *spec)
{
	char way[32];
	int number = 0;
	pthread_t thread;
	pid_t child;

	ensure(sscanf(spec, "%31[^:]:%d", way, &number) >= 1, spec);
	if (strcmp(way, "nested") == 0)
		return nest(spec, 0);
	if (strcmp(way, "outlives") == 0)
		return nest(spec, 1);
	if (strcmp(way, "supervise") == 0) {
		obedient = named("obedient", 0);
		deaf = named("deaf", 1);
		return;
	}
	if (strcmp(way, "exitsig") == 0) {
		child = syscall(SYS_clone, number, NULL, NULL, NULL, 0);
		ensure(child >= 0, "clone");
		if (child == 0)
			_exit(22);
		return wait_for(child, spec);
	}
	if (strcmp(way, "vfork") == 0) {
		child = vfork();
		if (child == 0)
			become_exit("21");
		return wait_for(child, spec);
	}
	child = start();
	if (child == 0) {
		if (strcmp(way, "exec") == 0)
			become_exit("23");
		if (strcmp(way, "mtexec") == 0) {
			ensure(pthread_create(&thread, NULL, exec_in_a_thread, "24") == 0,
			       "pthread_create");
			forever();
		}
		prctl(PR_SET_NAME, "renamed");
		say();
		forever();
	}
	if (strcmp(way, "rename") == 0) {
		hear();
		kill(child, SIGKILL);
	}
	wait_for(child, spec);
}

int main(int argc, char **argv)
{
	sigset_t told;
	int signo;

	if (argc == 3 && strcmp(argv[1], "exit") == 0)
		return atoi(argv[2]);
	setvbuf(stdout, NULL, _IOLBF, 0);
	ensure(pipe(ready) == 0, "pipe");
	sigemptyset(&told);
	sigaddset(&told, SIGUSR1);
	/* Else it would end PID 1's waits; ignored it would keep no zombie. */
	sigprocmask(SIG_BLOCK, &told, NULL);
	for (int i = 1; i < argc; i++)
		run(argv[i]);
	sigemptyset(&told);
	sigaddset(&told, SIGTERM);
	sigprocmask(SIG_BLOCK, &told, NULL);
	printf("ready\n");
	sigwait(&told, &signo);
	if (obedient) {
		kill(obedient, SIGTERM);
		kill(deaf, SIGTERM);
		wait_for(obedient, "obedient");
		kill(deaf, SIGKILL);
		wait_for(deaf, "deaf");
	}
	return 0;
}
