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
 * The bytes on the socket are described in agent/wire.py. launcher_agent.c is this end of it; launcher_process.c has
 * what is said to people and runtimes, and python3 in our place; launcher_alone.c stands in for a C library.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "launcher.h"

char conf[LARGEST_CONF + 1]; /* one byte more is sent on, for Python to refuse */

static int answer_version(void)
{
	const char *text = "{\"cniVersion\":\"" NEWEST "\",\"supportedVersions\":[" VERSIONS "]}\n";

	return write_all(1, text, strlen(text), SECONDS_FOR_ANSWER) != 0;
}

static int read_conf(size_t *length)
{
	for (*length = 0; *length < sizeof(conf);) {
		ssize_t n = read(0, conf + *length, sizeof(conf) - *length);

		if (n < 0 && errno == EAGAIN) { /* whoever opened it may have made it non-blocking: it is waited for all the same */
			struct pollfd more = { .fd = 0, .events = POLLIN };

			if (poll(&more, 1, -1) >= 0 || errno == EINTR)
				continue;
		}
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
		return fail("the network conf on stdin can not be read", why(errno));
	if (describe(&call, length, traced) != 0) {
		tell(traced, "the agent can not be asked");
		return run_python_anew(argc, argv, length);
	}
	fd = connected();
	if (fd < 0) {
		tell(traced, "no agent");
		return run_python_anew(argc, argv, length);
	}
	tell(traced, "connected to the agent");
	if (send_call(fd, &call) != 0) {
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

/*
 * A command, done by python3, which dies with words of its own where stdin is a folder. Nothing is read to see that:
 * even no byte of a terminal stops who is in the background of it.
 */
static int run_command(int argc, char **argv)
{
	struct stat found;

	if (fstat(0, &found) == 0 && S_ISDIR(found.st_mode))
		return fail("stdin can not be read", why(EISDIR));
	return run_python(argc, argv);
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
	char *args[argc + 2];

	args[0] = argv[0];
	args[1] = command;
	for (int i = 1; i <= argc; i++)
		args[i + 1] = argv[i];
	return run_command(argc + 1, args);
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
		return run_command(argc, argv);
	if (traced)
		started = now();
	return serve(argc, argv, traced);
}
