// SPDX-License-Identifier: MIT
/*
 * PID 1 that has victims die, each in one way, one after the other.
 *
 *   deaths WAY...
 *
 * Ways:
 *   pdeath:SIGNAL    its parent ends and PR_SET_PDEATHSIG raises SIGNAL
 *   parentkill:S     its parent sends S, and only then ends: the look-alike
 *   exitkill         its tracer (PTRACE_O_EXITKILL) ends
 *   tracerkill       its tracer kills it with kill(2)
 *   contkill:S       its tracer continues it with S: no signal is generated
 *   seccomp_kill     SECCOMP_RET_KILL_PROCESS
 *   seccomp_trap     SECCOMP_RET_TRAP, no handler
 *   seccomp_strict   SECCOMP_MODE_STRICT: no signal is generated
 *   pty_intr         Ctrl-C typed into its terminal
 *   pty_hup          its terminal is hung up
 *   tty_leader       the leader of its terminal's session ends
 *   orphan_hup       its process group, stopped, becomes an orphan: no terminal
 *   kill:S           PID 1 sends S
 *   everybody:N      kill(-1, SIGKILL) by a sibling of N victims
 *   burn             RLIMIT_CPU, two victims: "xcpu" has passed its soft limit (SIGXCPU)
 *                    while it computes, "xkill" its hard one (SIGKILL) in a system call
 * Written down, a line each: "victim PID WAY RAWSTATUS BY", BY being the pid whose
 * deed it was or 0, then "done"; then it waits for SIGTERM and exits with 0.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile pid_t *told; /* by a grandchild, to PID 1 */

static void ensure(int good, const char *what)
{
	if (good)
		return;
	perror(what);
	exit(99);
}

static void forever(void)
{
	for (;;)
		pause();
}

static pid_t start(void)
{
	pid_t child = fork();

	ensure(child >= 0, "fork");
	return child;
}

static void say(int fd)
{
	ensure(write(fd, "r", 1) == 1, "write");
}

static void hear(int fd)
{
	char letter;

	ensure(read(fd, &letter, 1) == 1, "read");
}

static int wait_one(pid_t child)
{
	int status;

	ensure(waitpid(child, &status, 0) == child, "waitpid");
	return status;
}

static void note(pid_t victim, const char *spec, int status, pid_t by)
{
	printf("victim %d %s %d %d\n", victim, spec, status, by);
}

static pid_t pausing(void)
{
	pid_t child = start();

	if (child == 0)
		forever();
	return child;
}

static void parent_dies(const char *spec, int signo, int by_pdeathsig)
{
	int ready[2];
	pid_t parent;

	ensure(pipe(ready) == 0, "pipe");
	*told = 0;
	parent = start();
	if (parent == 0) {
		pid_t victim = start();

		if (victim == 0) {
			if (by_pdeathsig)
				prctl(PR_SET_PDEATHSIG, signo);
			*told = getpid();
			say(ready[1]);
			forever();
		}
		hear(ready[0]);
		if (!by_pdeathsig)
			kill(victim, signo);
		_exit(0);
	}
	wait_one(parent);
	/* As PID 1 we have inherited it. */
	note(*told, spec, wait_one(*told), parent);
	close(ready[0]);
	close(ready[1]);
}

static void tracer_ends(const char *spec, int by_kill)
{
	pid_t victim = pausing(), tracer = start();

	if (tracer == 0) {
		ensure(ptrace(PTRACE_SEIZE, victim, 0, by_kill ? 0 : PTRACE_O_EXITKILL) == 0,
		       "PTRACE_SEIZE");
		if (by_kill)
			kill(victim, SIGKILL);
		_exit(0);
	}
	wait_one(tracer);
	note(victim, spec, wait_one(victim), tracer);
}

static void tracer_continues(const char *spec, int signo)
{
	pid_t victim = pausing(), tracer = start();

	if (tracer == 0) {
		int status;

		ensure(ptrace(PTRACE_ATTACH, victim, 0, 0) == 0, "PTRACE_ATTACH");
		ensure(waitpid(victim, &status, __WALL) == victim, "wait for the stop");
		ensure(ptrace(PTRACE_CONT, victim, 0, signo) == 0, "PTRACE_CONT");
		ensure(waitpid(victim, &status, __WALL) == victim, "wait for the end");
		_exit(0);
	}
	wait_one(tracer);
	note(victim, spec, wait_one(victim), tracer);
}

static void filtered(const char *spec, unsigned int action)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { 4, code };
	pid_t victim = start();

	if (victim == 0) {
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		ensure(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0, "PR_SET_SECCOMP");
		syscall(SYS_getppid);
		_exit(98);
	}
	note(victim, spec, wait_one(victim), 0);
}

static void strict(const char *spec)
{
	pid_t victim = start();

	if (victim == 0) {
		ensure(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0, "PR_SET_SECCOMP");
		syscall(SYS_getppid);
		syscall(SYS_exit, 98);
	}
	note(victim, spec, wait_one(victim), 0);
}

static int open_terminal(char *name, size_t size)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), unlocked = 0;
	unsigned int number;

	ensure(master >= 0, "posix_openpt");
	ensure(ioctl(master, TIOCSPTLCK, &unlocked) == 0, "TIOCSPTLCK");
	ensure(ioctl(master, TIOCGPTN, &number) == 0, "TIOCGPTN");
	snprintf(name, size, "/dev/pts/%u", number);
	return master;
}

static void at_terminal(const char *spec, int typed)
{
	char name[32];
	int ready[2], master = open_terminal(name, sizeof(name));
	pid_t victim;

	ensure(pipe(ready) == 0, "pipe");
	victim = start();
	if (victim == 0) {
		close(master);
		setsid();
		/* The first terminal a session leader opens becomes its own. */
		ensure(open(name, O_RDWR) >= 0, name);
		say(ready[1]);
		forever();
	}
	hear(ready[0]);
	if (typed)
		ensure(write(master, "\003", 1) == 1, "write");
	else
		close(master);
	note(victim, spec, wait_one(victim), 0);
	if (typed)
		close(master);
	close(ready[0]);
	close(ready[1]);
}

static void session_leader_ends(const char *spec)
{
	char name[32];
	int ready[2], master = open_terminal(name, sizeof(name));
	pid_t leader;

	ensure(pipe(ready) == 0, "pipe");
	leader = start();
	if (leader == 0) {
		pid_t victim;

		setsid();
		ensure(open(name, O_RDWR) >= 0, name);
		victim = start();
		if (victim == 0) {
			*told = getpid();
			say(ready[1]);
			forever();
		}
		hear(ready[0]);
		/* Itself it is not to die of it. */
		signal(SIGHUP, SIG_IGN);
		_exit(0);
	}
	wait_one(leader);
	note(*told, spec, wait_one(*told), leader);
	close(master);
	close(ready[0]);
	close(ready[1]);
}

static void group_is_orphaned(const char *spec)
{
	pid_t parent = start();

	if (parent == 0) {
		pid_t victim;
		int status;

		setsid();
		victim = start();
		if (victim == 0) {
			setpgid(0, 0);
			raise(SIGSTOP);
			forever();
		}
		*told = victim;
		ensure(waitpid(victim, &status, WUNTRACED) == victim, "wait for the stop");
		_exit(0);
	}
	wait_one(parent);
	note(*told, spec, wait_one(*told), parent);
}

static void everybody(const char *spec, int number)
{
	pid_t victims[64], killer;

	ensure(number <= 64, "too many");
	for (int i = 0; i < number; i++)
		victims[i] = pausing();
	killer = start();
	if (killer == 0) {
		kill(-1, SIGKILL);
		_exit(0);
	}
	wait_one(killer);
	for (int i = 0; i < number; i++)
		note(victims[i], spec, wait_one(victims[i]), killer);
}

static pid_t burning(int hard)
{
	struct rlimit limit = { 1, hard ? 1 : 60 };
	static char space[1 << 20];
	pid_t victim = start();

	if (victim == 0) {
		ensure(setrlimit(RLIMIT_CPU, &limit) == 0, "setrlimit");
		for (;;)
			if (hard)
				syscall(SYS_getrandom, space, sizeof(space), 0);
	}
	return victim;
}

static void burn(void)
{
	/* Both at once: each takes its second of CPU time. */
	pid_t soft = burning(0), hard = burning(1);

	note(soft, "xcpu", wait_one(soft), 0);
	note(hard, "xkill", wait_one(hard), 0);
}

static void run(const char *spec)
{
	char way[32];
	int number = 0;
	pid_t victim;

	ensure(sscanf(spec, "%31[^:]:%d", way, &number) >= 1, spec);
	if (strcmp(way, "pdeath") == 0)
		return parent_dies(spec, number, 1);
	if (strcmp(way, "parentkill") == 0)
		return parent_dies(spec, number, 0);
	if (strcmp(way, "exitkill") == 0)
		return tracer_ends(spec, 0);
	if (strcmp(way, "tracerkill") == 0)
		return tracer_ends(spec, 1);
	if (strcmp(way, "contkill") == 0)
		return tracer_continues(spec, number);
	if (strcmp(way, "seccomp_kill") == 0)
		return filtered(spec, SECCOMP_RET_KILL_PROCESS);
	if (strcmp(way, "seccomp_trap") == 0)
		return filtered(spec, SECCOMP_RET_TRAP);
	if (strcmp(way, "seccomp_strict") == 0)
		return strict(spec);
	if (strcmp(way, "pty_intr") == 0)
		return at_terminal(spec, 1);
	if (strcmp(way, "pty_hup") == 0)
		return at_terminal(spec, 0);
	if (strcmp(way, "tty_leader") == 0)
		return session_leader_ends(spec);
	if (strcmp(way, "orphan_hup") == 0)
		return group_is_orphaned(spec);
	if (strcmp(way, "everybody") == 0)
		return everybody(spec, number);
	if (strcmp(way, "burn") == 0)
		return burn();
	ensure(strcmp(way, "kill") == 0, spec);
	victim = pausing();
	kill(victim, number);
	note(victim, spec, wait_one(victim), getpid());
}

int main(int argc, char **argv)
{
	sigset_t term;
	int signo;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 1; i < 32; i++)
		signal(i, SIG_DFL);
	told = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ensure(told != MAP_FAILED, "mmap");
	for (int i = 1; i < argc; i++)
		run(argv[i]);
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	printf("done\n");
	sigwait(&term, &signo);
	return 0;
}
