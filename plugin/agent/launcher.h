/* What the launcher's files share. What Python says, too, comes from there: packaging/build.py. */
#include <stddef.h>
#include <stdint.h>

#ifndef BUILD
#define BUILD "" /* what packaging/build.py computes of all that is in the file */
#endif
#if !defined(VERSIONS) || !defined(NEWEST) || !defined(LARGEST_CONF) || !defined(LARGEST_ENVIRON)
#error "packaging/build.py says these"
#endif
#define LARGEST_ANSWER (1 << 22)
#define LARGEST_STATUS 255 /* of a larger one the kernel keeps a part, which may say that all is well */
#define SECONDS_TO_ANSWER 90 /* longer than the agent's own deadline */
#define SECONDS_FOR_WARNINGS 1
#define SECONDS_FOR_ANSWER 8

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

/* launcher.c */
extern char conf[LARGEST_CONF + 1]; /* what was read of stdin */

/* launcher_process.c */
extern int is_call; /* one of a runtime, not a command of people */
extern long started; /* in microseconds, as now() has them */
struct text {
	char *bytes;
	size_t room, length; /* length counts what had no room, too */
};

long now(void);
void append(struct text *to, const char *more); /* no zero behind it */
const char *why(int error);
int write_all(int fd, const char *bytes, size_t length, int seconds);
void tell(int traced, const char *what);
int fail(const char *msg, const char *details);
void ending_signals(int how);
void set_up(void);
int run_python(int argc, char **argv);
int run_python_anew(int argc, char **argv, size_t length);

/* launcher_agent.c */
int connected(void);
int describe(struct call *call, size_t conf_length, int traced);
int send_call(int fd, struct call *call);
int receive(int fd, void *to, size_t length);
int pass_on(int fd, const struct frame *frame, int is_add);
