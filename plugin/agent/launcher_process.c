/* The launcher as a process: what it says, the signals that ask it to end, and python3 on this same file in its place. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "launcher.h"

int is_call;
double started;

static int own = -1; /* this program's own file, whatever is put in its place while we work */

double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* All of it within some seconds, or -1: a pipe that nobody reads must not hold us for ever. */
int write_all(int fd, const char *bytes, size_t length, int seconds)
{
	const double until = now() + seconds * 1e3;

	while (length) {
		struct pollfd room = { .fd = fd, .events = POLLOUT };
		const double left = until - now();
		const int ready = poll(&room, 1, left > 0 ? (int)left : 0);
		ssize_t n;

		if (ready < 0 && errno == EINTR)
			continue;
		if (ready <= 0)
			return -1;
		n = write(fd, bytes, length < PIPE_BUF ? length : PIPE_BUF); /* so much a pipe takes at once */
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			return -1;
		bytes += n, length -= (size_t)n;
	}
	return 0;
}

void tell(int traced, const char *what)
{
	static int unread;
	char line[100];
	int length = traced && !unread ? snprintf(line, sizeof(line), "launcher: %7.3f ms  %s\n", now() - started, what) : 0;

	if (length > 0 && write_all(2, line, (size_t)length, SECONDS_FOR_WARNINGS) != 0)
		unread = 1;
}

int fail(const char *msg, const char *details)
{
	if (getenv("CNI_COMMAND"))
		printf("{\"cniVersion\":\"" NEWEST "\",\"code\":5,\"msg\":\"%s\",\"details\":\"%s\"}\n", msg, details);
	else
		fprintf(stderr, "calico: %s: %s\n", msg, details);
	return 1;
}

/* What asks a program to end: held back, or let through. */
void ending_signals(int how)
{
	sigset_t asked;

	sigemptyset(&asked);
	sigaddset(&asked, SIGTERM);
	sigaddset(&asked, SIGINT);
	sigaddset(&asked, SIGHUP);
	sigprocmask(how, &asked, NULL);
}

/*
 * Descriptors 0 to 2 are there before anything else is opened: else a socket becomes stderr. A call's missing stdout
 * takes no answer, so that it fails; warnings without a stderr are lost.
 */
static void stand_in(void)
{
	for (int fd = 0; fd <= 2; fd++) {
		int how = fd == 0 || (fd == 1 && is_call) ? O_RDONLY : O_WRONLY;

		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", how) != fd)
			_exit(1);
	}
}

/* What our parent left behind: a child's status has to reach who waits for it, and a file's limit is no end. */
void set_up(void)
{
	stand_in();
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	if (is_call)
		ending_signals(SIG_UNBLOCK);
	own = open("/proc/self/exe", O_RDONLY); /* stays open for Python */
}

/*
 * python3 on this file. Only where the system has it: what is first in PATH may be somebody's, and a version manager's
 * shim costs 100 ms. Its first word is its path, since Python looks for its library by that word.
 */
int run_python(int argc, char **argv)
{
	static char *const places[] = { "/usr/bin/python3", "/usr/local/bin/python3" };
	char **args = calloc((size_t)argc + 5, sizeof(*args)), self[40];
	int problem = ENOENT;

	if (own < 0)
		return fail("can not open the plugin's own file", "/proc is needed, and a free descriptor");
	if (!args)
		return fail("out of memory", "");
	snprintf(self, sizeof(self), "/proc/self/fd/%d", own);
	args[1] = "-IS"; /* nothing of the user's or the site's is imported: all is in this file */
	args[2] = "-Xutf8"; /* whatever the locale */
	args[3] = self;
	for (int i = 1; i < argc; i++)
		args[3 + i] = argv[i];
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	if (is_call)
		ending_signals(SIG_BLOCK); /* until Python takes note of them: plugin/process/signals.py */
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		args[0] = places[i];
		execv(places[i], args);
		problem = errno == ENOENT ? problem : errno;
	}
	free(args);
	if (problem != ENOENT)
		return fail("python3 can not be started", strerror(problem));
	return fail("python3 (3.11 or newer) is needed and was not found", "looked at /usr/bin/python3, /usr/local/bin/python3");
}

/* The same with the conf that was read already, given to Python on stdin once more. */
int run_python_anew(int argc, char **argv, size_t length)
{
	int fd = memfd_create("conf", MFD_CLOEXEC);
	size_t done = 0;

	while (fd >= 0 && done < length) {
		ssize_t n = write(fd, conf + done, length - done);

		if (n <= 0)
			break;
		done += (size_t)n;
	}
	if (fd < 0 || done < length || lseek(fd, 0, SEEK_SET) != 0 || dup2(fd, 0) < 0)
		return fail("no memory to hand the network conf on", strerror(errno));
	return run_python(argc, argv);
}
