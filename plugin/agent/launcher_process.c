/* The launcher as a process: what it says, the signals that ask it to end, and python3 on this same file in its place. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "launcher.h"

int is_call;
long started;

static int own = -1; /* this program's own file, whatever is put in its place while we work */

long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void append(struct text *to, const char *more)
{
	for (; *more; more++, to->length++)
		if (to->length < to->room)
			to->bytes[to->length] = *more;
}

static void append_number(struct text *to, long number, int digits)
{
	char each[24];
	size_t at = sizeof(each) - 1;

	each[at] = 0;
	for (; at && (number || digits > 0); number /= 10, digits--)
		each[--at] = (char)('0' + number % 10);
	append(to, each + at);
}

/* The words of an error that reading stdin, starting python3 or making a file in memory may end with. */
const char *why(int error)
{
	static char other[40];
	struct text text = { .bytes = other, .room = sizeof(other) - 1 };

	if (error == EISDIR)
		return "Is a directory";
	if (error == EBADF)
		return "Bad file descriptor";
	if (error == EIO)
		return "Input/output error";
	if (error == EACCES)
		return "Permission denied";
	if (error == ENOEXEC)
		return "Exec format error";
	if (error == ENOMEM)
		return "Cannot allocate memory";
	if (error == EMFILE || error == ENFILE)
		return "Too many open files";
	append(&text, "error ");
	append_number(&text, error, 1);
	return other;
}

/* All of it within some seconds, or -1: a pipe that nobody reads must not hold us for ever. */
int write_all(int fd, const char *bytes, size_t length, int seconds)
{
	const long until = now() + seconds * 1000000L;

	while (length) {
		struct pollfd room = { .fd = fd, .events = POLLOUT };
		const long left = until - now();
		const int ready = poll(&room, 1, left > 0 ? (int)(left / 1000) : 0);
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
	struct text text = { .bytes = line, .room = sizeof(line) };
	const long took = traced ? now() - started : 0;

	if (!traced || unread)
		return;
	append(&text, "launcher: ");
	for (long ten = 100000; ten > 1000 && took < ten; ten /= 10)
		append(&text, " ");
	append_number(&text, took / 1000, 1);
	append(&text, ".");
	append_number(&text, took % 1000, 3);
	append(&text, " ms  ");
	append(&text, what);
	append(&text, "\n");
	unread = write_all(2, line, text.length, SECONDS_FOR_WARNINGS) != 0;
}

int fail(const char *msg, const char *details)
{
	char line[400];
	struct text text = { .bytes = line, .room = sizeof(line) };

	append(&text, is_call ? "{\"cniVersion\":\"" NEWEST "\",\"code\":5,\"msg\":\"" : "calico: ");
	append(&text, msg);
	append(&text, is_call ? "\",\"details\":\"" : ": ");
	append(&text, details);
	append(&text, is_call ? "\"}\n" : "\n");
	write_all(is_call ? 1 : 2, line, text.length < text.room ? text.length : text.room,
		  is_call ? SECONDS_FOR_ANSWER : SECONDS_FOR_WARNINGS);
	return is_call ? 1 : 2; /* a command's 1 would say that there are findings */
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
 * Descriptors 0 to 2 are there before anything else is opened: else a socket becomes stderr. A missing stdout takes
 * nothing, so that whoever has an answer fails; warnings without a stderr are lost.
 */
static void stand_in(void)
{
	for (int fd = 0; fd <= 2; fd++) {
		int how = fd == 2 ? O_WRONLY : O_RDONLY;

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
	static char with[] = "-c", start[] = START;
	char *args[argc + 7], self[40] = "";
	struct text path = { .bytes = self, .room = sizeof(self) - 1 };
	int problem = ENOENT, n = 3;

	if (own < 0)
		return fail("can not open the plugin's own file", "/proc is needed, and a free descriptor");
	append(&path, "/proc/self/fd/");
	append_number(&path, own, 1);
	args[1] = "-IS"; /* nothing of the user's or the site's is imported: all is in this file */
	args[2] = "-Xutf8"; /* whatever the locale */
	if (is_call) /* a tenth less than by the zip's directory: packaging/zip_index.py */
		args[n++] = with, args[n++] = start;
	args[n++] = self;
	args[n] = NULL;
	for (int i = 1; i <= argc; i++)
		args[n++] = argv[i];
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	ending_signals(SIG_BLOCK); /* until Python sees to them: plugin/process/signals.py, compiler/cli/process.py */
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		args[0] = places[i];
		execv(places[i], args);
		problem = errno == ENOENT ? problem : errno;
	}
	if (problem != ENOENT)
		return fail("python3 can not be started", why(problem));
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
		return fail("no memory to hand the network conf on", why(errno));
	return run_python(argc, argv);
}
