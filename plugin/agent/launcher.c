/*
 * The native front of dist/calico: a CNI call in, an answer out, by the warm agent or by python3 on this same file.
 *
 * The zip application stands behind this program in the file, so the file is an executable, a CNI plugin, and
 * readable by python3. VERSION is answered here, since runtimes ask for it at every command and starting Python
 * takes longer than all the rest of the answer. Every other verb is offered to `calico-rkt agent` over its socket;
 * whatever the agent does not take within a second is done by python3 here: the same code, the same result.
 *
 * Who has the request is decided once. The agent says TAKEN before it does anything; a launcher that has waited
 * long enough shuts its reading side, and from then on the kernel refuses the agent's TAKEN. So a request is never
 * done twice. When the agent goes away with an ADD that it has taken, python3 takes back what carries this call's
 * nonce and answers code 11; the other verbs may be repeated safely, and are.
 *
 * The bytes on the socket are described in agent/wire.py.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#ifndef BUILD
#define BUILD "" /* what packaging/build.py computes of all that is in the file */
#endif
#define VERSIONS "\"0.1.0\",\"0.2.0\",\"0.3.0\",\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\""
#define LARGEST_CONF (1 << 20) /* one byte more is sent on, for Python to refuse */
#define LARGEST_ENVIRON (1 << 17)
#define LARGEST_ANSWER (1 << 22)
#define SECONDS_TO_TAKE 1
#define SECONDS_TO_ANSWER 90 /* longer than the agent's own deadline */
#define SECONDS_TO_PASS_ON 8 /* shorter than the agent waits for the word that we did */
#define SECONDS_FOR_WARNINGS 1

enum { TRACED = 1, HAS_NETNS = 2 };
enum { LOST = -1, IN_VAIN = -2 }; /* no answer came; one came, and was or may have been passed on to nobody */
enum kind { TAKEN = 'T', DECLINED = 'D', ANSWER = 'R' };

struct call {
	char magic[8];
	char build[32];
	char nonce[16];
	uint64_t net[2], mnt[2], root[2]; /* device and inode: the namespaces and the root that we see */
	uint32_t flags, environ_length, conf_length, unused;
};

struct frame {
	uint32_t kind, status, out_length, err_length;
};

static char conf[LARGEST_CONF + 1], environment[LARGEST_ENVIRON];
static int is_call; /* one of a runtime, not a command of people */
static int own = -1; /* this program's own file, whatever is put in its place while we work */
static double started;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* All of it within some seconds, or -1: a pipe that nobody reads must not hold us for ever. */
static int write_all(int fd, const char *bytes, size_t length, int seconds)
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

static void tell(int traced, const char *what)
{
	static int unread;
	char line[100];
	int length = traced && !unread ? snprintf(line, sizeof(line), "launcher: %7.3f ms  %s\n", now() - started, what) : 0;

	if (length > 0 && write_all(2, line, (size_t)length, SECONDS_FOR_WARNINGS) != 0)
		unread = 1;
}

static int answer_version(void)
{
	const char *text = "{\"cniVersion\":\"1.1.0\",\"supportedVersions\":[" VERSIONS "]}\n";

	return fputs(text, stdout) < 0 || fflush(stdout) != 0;
}

static int fail(const char *msg, const char *details)
{
	if (getenv("CNI_COMMAND"))
		printf("{\"cniVersion\":\"1.1.0\",\"code\":5,\"msg\":\"%s\",\"details\":\"%s\"}\n", msg, details);
	else
		fprintf(stderr, "calico: %s: %s\n", msg, details);
	return 1;
}

/* What asks a program to end: held back, or let through. */
static void ending_signals(int how)
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
static void set_up(void)
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
static int run_python(int argc, char **argv)
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
static int run_python_anew(int argc, char **argv, size_t length)
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

/* A connection to the agent, or -1. Whoever listens there has to be of our own user: the request is for it alone. */
static int connected(void)
{
	const char *folder = getenv("CALICO_RKT_RUN_DIR");
	const struct timeval patience = { .tv_sec = SECONDS_TO_TAKE };
	struct sockaddr_un place = { .sun_family = AF_UNIX };
	struct ucred peer;
	socklen_t size = sizeof(peer);
	int n = snprintf(place.sun_path, sizeof(place.sun_path), "%s/agent.sock",
			 folder && *folder ? folder : "/run/calico-rkt");
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || n < 0 || (size_t)n >= sizeof(place.sun_path))
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&place, sizeof(place)) == 0 &&
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == geteuid())
		return fd;
	close(fd);
	return -1;
}

static int read_conf(size_t *length)
{
	for (*length = 0; *length < sizeof(conf);) {
		ssize_t n = read(0, conf + *length, sizeof(conf) - *length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		*length += (size_t)n;
	}
	return 0;
}

/* What of the environment concerns a call, as NAME=VALUE with a zero byte behind each; -1 when it is too much. */
static ssize_t gather_environment(void)
{
	static const char *const wanted[] = { "CNI_", "CALICO_", "ETCD_" };
	size_t length = 0;

	for (char **entry = environ; *entry; entry++) {
		size_t size = strlen(*entry) + 1, i = 0;

		while (i < sizeof(wanted) / sizeof(*wanted) && strncmp(*entry, wanted[i], strlen(wanted[i])) != 0)
			i++;
		if (i == sizeof(wanted) / sizeof(*wanted))
			continue;
		if (size > sizeof(environment) - length)
			return -1;
		memcpy(environment + length, *entry, size);
		length += size;
	}
	return (ssize_t)length;
}

static int identify(const char *path, uint64_t place[2])
{
	struct stat found;

	if (stat(path, &found) != 0)
		return -1;
	place[0] = found.st_dev;
	place[1] = found.st_ino;
	return 0;
}

static int describe(struct call *call, size_t conf_length, int traced)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char bytes[8];
	ssize_t length = gather_environment();

	memset(call, 0, sizeof(*call));
	memcpy(call->magic, "crkcall1", 8);
	memcpy(call->build, BUILD, sizeof(BUILD) - 1);
	if (length < 0 || getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes) ||
	    identify("/proc/self/ns/net", call->net) || identify("/proc/self/ns/mnt", call->mnt) ||
	    identify("/", call->root))
		return -1;
	for (size_t i = 0; i < sizeof(bytes); i++) {
		call->nonce[2 * i] = digits[bytes[i] >> 4];
		call->nonce[2 * i + 1] = digits[bytes[i] & 15];
	}
	call->flags = traced ? TRACED : 0;
	call->environ_length = (uint32_t)length;
	call->conf_length = (uint32_t)conf_length;
	return 0;
}

/* The call, its environment and conf, and the container's namespace as we see it, where there is one. */
static int send_call(int fd, struct call *call)
{
	const char *path = getenv("CNI_NETNS");
	int netns = path && *path ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .header = { .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
	struct iovec parts[] = { { call, sizeof(*call) }, { environment, call->environ_length }, { conf, call->conf_length } };
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = 3 };

	if (netns >= 0) {
		memcpy(CMSG_DATA(&control.header), &netns, sizeof(netns));
		message.msg_control = &control;
		message.msg_controllen = sizeof(control.room);
		call->flags |= HAS_NETNS;
	}
	while (message.msg_iovlen) {
		ssize_t n = sendmsg(fd, &message, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		message.msg_controllen = 0; /* it went with the first byte */
		while (message.msg_iovlen && (size_t)n >= message.msg_iov->iov_len) {
			n -= (ssize_t)message.msg_iov->iov_len;
			message.msg_iov++, message.msg_iovlen--;
		}
		if (message.msg_iovlen) {
			message.msg_iov->iov_base = (char *)message.msg_iov->iov_base + n;
			message.msg_iov->iov_len -= (size_t)n;
		}
	}
	return 0;
}

static int receive(int fd, void *to, size_t length)
{
	for (size_t done = 0; done < length;) {
		ssize_t n = recv(fd, (char *)to + done, length - done, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		done += (size_t)n;
	}
	return 0;
}

/*
 * Pass the answer on and say so; the agent takes an ADD back that nobody could be told of. No signal ends us between
 * the answer and the word, nor after it: what the runtime is told has to hold. Warnings come last, so that whoever
 * does not read them delays nothing. LOST: nothing was passed on. IN_VAIN: an ADD was or may have been, and will not
 * hold.
 */
static int pass_on(int fd, const struct frame *frame, int is_add)
{
	char *text, byte;
	size_t length = (size_t)frame->out_length + frame->err_length;
	int matters = is_add && frame->status == 0, status = (int)frame->status;

	if (length > LARGEST_ANSWER || !(text = malloc(length + 1)))
		return LOST;
	if (receive(fd, text, length)) {
		free(text);
		return LOST;
	}
	ending_signals(SIG_BLOCK);
	if (matters && send(fd, "", 0, MSG_NOSIGNAL) < 0) {
		status = LOST; /* the agent waits no more */
	} else if (write_all(1, text, frame->out_length, SECONDS_TO_PASS_ON) != 0) {
		shutdown(fd, SHUT_WR);
		while (recv(fd, &byte, 1, 0) > 0) /* until the agent has taken it back */
			;
		status = matters ? IN_VAIN : 1;
	} else if (send(fd, "A", 1, MSG_NOSIGNAL) != 1 && matters) {
		status = IN_VAIN;
	} else {
		write_all(2, text + frame->out_length, frame->err_length, SECONDS_FOR_WARNINGS);
	}
	free(text);
	return status;
}

static int is_add(void)
{
	const char *command = getenv("CNI_COMMAND");

	return command && strcmp(command, "ADD") == 0;
}

/* What the agent left is taken back, whoever asks us to end meanwhile; another verb than ADD is done again. */
static int after_the_agent(int argc, char **argv, const struct call *call, size_t length, int in_vain)
{
	char nonce[sizeof(call->nonce) + 1] = "", *undo[] = { argv[0], "--undo", nonce, NULL };
	int nobody;

	if (!is_add())
		return run_python_anew(argc, argv, length);
	memcpy(nonce, call->nonce, sizeof(call->nonce));
	if (in_vain && (nobody = open("/dev/null", O_WRONLY | O_CLOEXEC)) >= 0) /* one object is on stdout already */
		dup2(nobody, 1);
	return run_python_anew(3, undo, length);
}

static int serve(int argc, char **argv, int traced)
{
	const struct timeval long_patience = { .tv_sec = SECONDS_TO_ANSWER };
	struct call call;
	struct frame frame = { 0 };
	size_t length;
	int fd, status;

	if (read_conf(&length) != 0) /* first: the agent waits for nobody who writes slowly */
		return fail("the network conf on stdin can not be read", strerror(errno));
	fd = connected();
	if (fd < 0) {
		tell(traced, "no agent");
		return run_python_anew(argc, argv, length);
	}
	tell(traced, "connected to the agent");
	if (describe(&call, length, traced) != 0 || send_call(fd, &call) != 0) {
		tell(traced, "the agent could not be asked");
		return run_python_anew(argc, argv, length);
	}
	if (receive(fd, &frame, sizeof(frame)) != 0) {
		shutdown(fd, SHUT_RD);
		if (recv(fd, &frame, sizeof(frame), MSG_DONTWAIT) == sizeof(frame) && frame.kind == TAKEN) {
			close(fd);
			return after_the_agent(argc, argv, &call, length, 0);
		}
		frame.kind = DECLINED;
	}
	if (frame.kind != TAKEN && frame.kind != ANSWER) {
		tell(traced, "the agent did not take it");
		return run_python_anew(argc, argv, length);
	}
	if (frame.kind == TAKEN) {
		tell(traced, "taken by the agent");
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &long_patience, sizeof(long_patience));
		if (receive(fd, &frame, sizeof(frame)) != 0)
			frame.kind = 0;
	}
	status = frame.kind == ANSWER ? pass_on(fd, &frame, is_add()) : LOST;
	close(fd);
	tell(traced, status < 0 ? "the agent went away" : "answered");
	return status < 0 ? after_the_agent(argc, argv, &call, length, status == IN_VAIN) : status;
}

/* Whether a link of this name, in whatever folder, is what was started. */
static int is_called(const char *name, const char *started_as)
{
	const char *slash = started_as ? strrchr(started_as, '/') : NULL;

	return started_as && strcmp(slash ? slash + 1 : started_as, name) == 0;
}

/* compile-profile ARGUMENTS is calico-rkt compile ARGUMENTS. */
static int compile_profile(int argc, char **argv)
{
	static char command[] = "compile";
	char **args = calloc((size_t)argc + 2, sizeof(*args));

	if (!args)
		return fail("out of memory", "");
	args[0] = argv[0];
	args[1] = command;
	memcpy(args + 2, argv + 1, (size_t)(argc - 1) * sizeof(*args));
	return run_python(argc + 1, args);
}

int main(int argc, char **argv)
{
	const char *command = getenv("CNI_COMMAND");
	int traced = argc == 2 && strcmp(argv[1], "--trace") == 0;

	if (argc && is_called("compile-profile", argv[0])) {
		set_up();
		return compile_profile(argc, argv);
	}

	is_call = command && (argc <= 1 || traced);
	set_up();
	if (argc <= 1 && command && strcmp(command, "VERSION") == 0)
		return answer_version();
	if (!command || (argc > 1 && !traced))
		return run_python(argc, argv);
	if (traced)
		started = now();
	return serve(argc, argv, traced);
}
