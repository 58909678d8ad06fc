// SPDX-License-Identifier: MIT
/*
 * A process of which /proc does not answer: whoever reads some file of it there
 * waits as long as it likes.
 *
 *   hung cmdline DIRECTORY   its address space stays locked: a mapping with unwritten
 *                            data is replaced by another, and the file system under
 *                            it never confirms the write
 *   hung syscall DIRECTORY   it stays in the midst of an execve(2): a file that is
 *                            closed by it, and the file system never confirms that
 *
 * The file system is our own, by way of FUSE, mounted at DIRECTORY in a mount
 * namespace of ours. The process has a dead child that it does not wait for. Written
 * down: "hung HOSTPID ZOMBIE" once it is. Ends with its stdin, and all with it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILE_NODE 2
#define FILE_SIZE 4096

static char request[1 << 20];

static void ensure(int good, const char *what)
{
	if (good)
		return;
	perror(what);
	exit(99);
}

static void answer(int fuse, int error, const void *body, size_t length)
{
	const struct fuse_in_header *in = (void *)request;
	struct fuse_out_header out = { .len = sizeof(out) + length,
				       .error = error,
				       .unique = in->unique };
	struct iovec parts[] = { { &out, sizeof(out) }, { (void *)body, length } };

	/* ENOENT: whoever asked is gone. */
	ensure(writev(fuse, parts, 2) >= 0 || errno == ENOENT, "answer");
}

static struct fuse_attr attributes(uint64_t node)
{
	struct fuse_attr attr = { .ino = node, .nlink = 1 };

	attr.mode = node == FILE_NODE ? S_IFREG | 0777 : S_IFDIR | 0777;
	attr.size = node == FILE_NODE ? FILE_SIZE : 0;
	return attr;
}

/* Returns 1 once what shall never be answered was asked. */
static int serve(int fuse, uint32_t never)
{
	static const char zeros[FILE_SIZE];
	const struct fuse_in_header *in = (void *)request;
	struct fuse_init_out init = { .major = 7, .minor = 31, .max_write = 4096 };
	struct fuse_entry_out entry = { .nodeid = FILE_NODE, .attr_valid = 1000 };
	struct fuse_attr_out attr = { .attr_valid = 1000 };
	struct fuse_open_out opened = { 0 };

	ensure(read(fuse, request, sizeof(request)) > 0, "read /dev/fuse");
	if (in->opcode == never)
		return 1;
	switch (in->opcode) {
	case FUSE_INIT:
		answer(fuse, 0, &init, sizeof(init));
		break;
	case FUSE_LOOKUP:
		entry.attr = attributes(FILE_NODE);
		answer(fuse, 0, &entry, sizeof(entry));
		break;
	case FUSE_GETATTR:
	case FUSE_SETATTR:
		attr.attr = attributes(in->nodeid);
		answer(fuse, 0, &attr, sizeof(attr));
		break;
	case FUSE_OPEN:
		answer(fuse, 0, &opened, sizeof(opened));
		break;
	case FUSE_READ:
		answer(fuse, 0, zeros, sizeof(zeros));
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		answer(fuse, -ENOSYS, NULL, 0);
	}
	return 0;
}

static void lock_address_space(int fd)
{
	char *page = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	ensure(page != MAP_FAILED, "mmap");
	page[0] = 1;
	mmap(page, FILE_SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static void hang(const char *mode, const char *path, int out)
{
	siginfo_t info;
	pid_t zombie = fork();
	int fd;

	ensure(zombie >= 0, "fork");
	if (zombie == 0)
		_exit(0);
	ensure(waitid(P_PID, zombie, &info, WEXITED | WNOWAIT) == 0, "waitid");
	ensure(write(out, &zombie, sizeof(zombie)) == sizeof(zombie), "write");
	prctl(PR_SET_NAME, "hung");
	fd = open(path, O_RDWR | O_CLOEXEC);
	ensure(fd >= 0, path);
	if (strcmp(mode, "cmdline") == 0)
		lock_address_space(fd);
	else
		execl("/proc/self/exe", "hung", (char *)NULL);
	_exit(0);
}

int main(int argc, char **argv)
{
	uint32_t never = argc > 1 && strcmp(argv[1], "cmdline") == 0 ? FUSE_WRITE : FUSE_FLUSH;
	char options[128], path[4096];
	int fuse, told = 0, pipe_fds[2];
	pid_t hung, zombie;

	ensure(argc == 3, "usage");
	setvbuf(stdout, NULL, _IOLBF, 0);
	ensure(unshare(CLONE_NEWNS) == 0, "unshare");
	ensure(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "private mounts");
	fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	ensure(fuse >= 0, "/dev/fuse");
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fuse);
	ensure(mount("hung", argv[2], "fuse", MS_NOSUID | MS_NODEV, options) == 0, "mount");
	snprintf(path, sizeof(path), "%s/file", argv[2]);
	ensure(pipe(pipe_fds) == 0, "pipe");
	hung = fork();
	ensure(hung >= 0, "fork");
	if (hung == 0) {
		close(fuse);
		hang(argv[1], path, pipe_fds[1]);
	}
	for (;;) {
		struct pollfd both[] = { { .fd = fuse, .events = POLLIN }, { .fd = 0 } };

		ensure(poll(both, 2, -1) > 0, "poll");
		if (both[1].revents)
			break;
		if (both[0].revents && serve(fuse, never) && !told) {
			told = 1;
			ensure(read(pipe_fds[0], &zombie, sizeof(zombie)) == sizeof(zombie),
			       "read");
			printf("hung %d %d\n", hung, zombie);
		}
	}
	/* Without its server the file system fails whoever waits for it. */
	close(fuse);
	kill(hung, SIGKILL);
	waitpid(hung, NULL, 0);
	return 0;
}
