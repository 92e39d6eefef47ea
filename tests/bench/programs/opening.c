/* Opens TCP connections to a server of its own in another network namespace, one after the other, and prints what one
 * took: nanoseconds of connect(), the 10th percentile of batches.
 *
 * usage: opening SERVER_NETNS SERVER_ADDRESS PORT CONNECTIONS
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "timing.h"

enum { BATCH = 50, BACKLOG = 128 };

/* The client's close sends RST: no port waits for its next use. */
static const struct linger at_once = { 1, 0 };

static void serve(const char *netns, struct sockaddr_in at, int ready)
{
	int ns = open(netns, O_RDONLY), s, on = 1;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	at.sin_addr.s_addr = INADDR_ANY;
	if (ns < 0 || setns(ns, CLONE_NEWNET) || (s = socket(AF_INET, SOCK_STREAM, 0)) < 0 ||
	    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) || bind(s, (struct sockaddr *)&at, sizeof at) || listen(s, BACKLOG) || write(ready, "", 1) != 1)
		_exit(1);
	for (;;) {
		int one = accept(s, NULL, NULL);
		char ended; /* by the client: a RST of ours could come before its connect() has returned */
		(void)!read(one, &ended, sizeof ended);
		close(one);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	int wanted = argc == 5 ? atoi(argv[4]) : 0, ready[2];
	char told;

	if (wanted < BATCH || inet_pton(AF_INET, argv[2], &to.sin_addr) != 1 || pipe(ready))
		return 2;
	to.sin_port = htons((unsigned short)atoi(argv[3]));
	pid_t server = fork();
	if (!server) {
		close(ready[0]);
		serve(argv[1], to, ready[1]);
	}
	close(ready[1]);
	double *took = calloc((size_t)(wanted / BATCH), sizeof *took);
	if (server < 0 || !took || read(ready[0], &told, 1) != 1)
		return perror("opening: the server"), 1;
	for (int batch = 0; batch < wanted / BATCH; batch++) {
		double spent = 0;
		for (int n = 0; n < BATCH; n++) {
			int s = socket(AF_INET, SOCK_STREAM, 0);
			double begun = now();
			if (connect(s, (struct sockaddr *)&to, sizeof to))
				return perror("opening: connect"), 1;
			spent += now() - begun;
			setsockopt(s, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
			close(s);
		}
		took[batch] = spent / BATCH;
	}
	say_tenth(took, wanted / BATCH);
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	return 0;
}
