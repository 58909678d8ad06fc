// SPDX-License-Identifier: MIT
/*
 * zombie-proc: forks children that end at once, never waits.
 *
 *   classic_zombies MOST AGE_MS [CGROUP]
 *
 * It enters CGROUP and forks until that refuses or there are MOST; child number
 * i exits with i % 251. Then it signals every zombie, looks again, and lets them
 * age.
 * Truth: "child PID CODE" each, "dead NS" (all are), "refused ERRNO",
 * "signalled NUMBER", "left NUMBER", "ready".
 */
#include "truth.h"

int main(int argc, char **argv)
{
	static const int signals[] = { SIGTERM, SIGKILL };
	int most, made = 0, refused = 0, sent = 0, left = 0;
	pid_t *children;

	ensure(argc >= 3, "arguments");
	truth_open();
	call_self("zombie-proc");
	if (argc > 3) {
		int fd = open(argv[3], O_WRONLY | O_CLOEXEC);

		ensure(fd >= 0 && write(fd, "0", 1) == 1, argv[3]);
		close(fd);
	}
	exit_0_on(SIGTERM);
	most = atoi(argv[1]);
	children = calloc(most, sizeof(*children));
	ensure(children != NULL, "calloc");
	while (made < most) {
		pid_t child = fork();

		if (child < 0) {
			refused = errno;
			break;
		}
		if (child == 0) {
			call_self("child");
			_exit(made % 251);
		}
		truth("child %d %d\n", child, made % 251);
		children[made++] = child;
	}
	for (int i = 0; i < made; i++)
		await_zombie(children[i]);
	truth("dead %lld\n", boot_ns());
	truth("refused %d\n", refused);
	for (int s = 0; s < 2; s++)
		for (int i = 0; i < made; i++)
			sent += kill(children[i], signals[s]) == 0;
	truth("signalled %d\n", sent);
	for (int i = 0; i < made; i++) {
		siginfo_t info = { .si_pid = 0 };

		waitid(P_PID, children[i], &info, WEXITED | WNOWAIT | WNOHANG);
		left += info.si_pid == children[i];
	}
	truth("left %d\n", left);
	age_ms(atoi(argv[2]));
	truth("ready\n");
	pause_for_ever();
}
