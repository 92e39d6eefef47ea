/* A call in, said to the agent over its socket; its answer, passed on to who called, out. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "launcher.h"

#define SECONDS_TO_TAKE 1
#define SECONDS_TO_PASS_ON 8 /* shorter than the agent waits for the word that we did */

enum { TRACED = 1, HAS_NETNS = 2 };

static char environment[LARGEST_ENVIRON];

/* A connection to the agent, or -1. Whoever listens there has to be of our own user: the request is for it alone. */
int connected(void)
{
	const char *folder = getenv("CALICO_RKT_RUN_DIR");
	const struct timeval patience = { .tv_sec = SECONDS_TO_TAKE };
	struct sockaddr_un place = { .sun_family = AF_UNIX };
	struct ucred peer;
	socklen_t size = sizeof(peer);
	struct text path = { .bytes = place.sun_path, .room = sizeof(place.sun_path) };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	append(&path, folder && *folder ? folder : "/run/calico-rkt");
	append(&path, "/agent.sock");
	if (fd < 0 || path.length >= path.room)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&place, sizeof(place)) == 0 &&
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == geteuid())
		return fd;
	close(fd);
	return -1;
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

int describe(struct call *call, size_t conf_length, int traced)
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
int send_call(int fd, struct call *call)
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

int receive(int fd, void *to, size_t length)
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
int pass_on(int fd, const struct frame *frame, int is_add)
{
	static char text[LARGEST_ANSWER];
	char byte;
	size_t length = (size_t)frame->out_length + frame->err_length;
	int matters = is_add && frame->status == 0, status = (int)frame->status;

	if (frame->status > LARGEST_STATUS || length > sizeof(text) || receive(fd, text, length) != 0)
		return LOST;
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
	return status;
}
