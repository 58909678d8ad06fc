// SPDX-License-Identifier: MIT
/*
 * A host's init that has stopped reaping, played by a subreaper.
 *
 *   classic_host_init MOST AGE_MS CGROUP
 *
 * Daemons fork once more and end; their orphans become the stand-in's, end with
 * 0, and stay, until CGROUP refuses a fork or there are MOST. PID 1 then kills
 * the stand-in, reaps what it inherits, and forks once more.
 * Truth: "standin PID", "orphan PID" each, "refused ERRNO", "dead NS", "killed
 * NS", "waited PID RAWSTATUS" in order (by PID 1), "again ERRNO" (0: it forks).
 */
#include "truth.h"

static void play_standin(int most)
{
	int made = 0, status, ends[2];
	pid_t daemon, orphan;
	pid_t *orphans = calloc(most, sizeof(*orphans));

	ensure(orphans && pipe(ends) == 0, "memory, pipe");
	ensure(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0, "subreaper");
	while (made < most) {
		daemon = fork();
		if (daemon < 0) {
			truth("refused %d\n", errno);
			break;
		}
		if (daemon == 0) {
			call_self("daemon");
			orphan = fork();
			if (orphan == 0) {
				call_self("orphan");
				_exit(0);
			}
			if (orphan < 0)
				_exit(errno);
			ensure(write(ends[1], &orphan, sizeof(orphan)) == sizeof(orphan), "pipe");
			_exit(0);
		}
		ensure(waitpid(daemon, &status, 0) == daemon, "waitpid");
		if (WEXITSTATUS(status)) {
			truth("refused %d\n", WEXITSTATUS(status));
			break;
		}
		ensure(read(ends[0], &orphan, sizeof(orphan)) == sizeof(orphan), "pipe");
		truth("orphan %d\n", orphan);
		orphans[made++] = orphan;
	}
	for (int i = 0; i < made; i++)
		await_zombie(orphans[i]);
	truth("dead %lld\n", boot_ns());
	kill(getppid(), SIGUSR1);
	pause_for_ever();
}

static void on_ready(int signo)
{
	(void)signo;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_ready };
	sigset_t usr1, before;
	pid_t standin, child;
	int fd, status;

	ensure(argc == 4, "arguments");
	truth_open();
	call_self("pid-1");
	fd = open(argv[3], O_WRONLY | O_CLOEXEC);
	ensure(fd >= 0 && write(fd, "0", 1) == 1, argv[3]);
	close(fd);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, &before);
	ensure(sigaction(SIGUSR1, &action, NULL) == 0, "sigaction");
	standin = fork_as("stand-in");
	if (standin == 0) {
		sigprocmask(SIG_SETMASK, &before, NULL);
		play_standin(atoi(argv[1]));
	}
	truth("standin %d\n", standin);
	sigsuspend(&before);
	age_ms(atoi(argv[2]));
	truth("killed %lld\n", boot_ns());
	ensure(kill(standin, SIGKILL) == 0, "kill");
	while ((child = waitpid(-1, &status, 0)) > 0)
		truth("waited %d %d\n", child, status);
	child = fork();
	if (child == 0)
		_exit(0);
	truth("again %d\n", child < 0 ? errno : 0);
	ensure(waitpid(child, &status, 0) == child, "waitpid");
	return 0;
}
