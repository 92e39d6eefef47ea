/*
 * The launcher without a C library: where it begins, and what it uses of C and of the kernel.
 *
 * glibc asks the processor some seventy questions before main(), and each is a way out of a virtual machine and back:
 * 0.7 ms of every call (docs/decisions/103). Part of the launcher where ALONE is defined; else, as under sanitizers, the
 * system's library has all this.
 */
#ifdef ALONE

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#if defined(__x86_64__)
#define RELATIVE R_X86_64_RELATIVE
__asm__(".globl _start\n_start:\txor %ebp, %ebp\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall begin\n");

static long kernel(long number, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
	long answer;

	__asm__ volatile("syscall"
			 : "=a"(answer)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return answer;
}
#elif defined(__aarch64__)
#define RELATIVE R_AARCH64_RELATIVE
__asm__(".globl _start\n_start:\tmov x29, xzr\n\tmov x30, xzr\n\tmov x0, sp\n\tb begin\n");

static long kernel(long number, long a, long b, long c, long d, long e, long f)
{
	register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d, x4 __asm__("x4") = e, x5 __asm__("x5") = f;

	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
	return x0;
}
#else
#error "_start and kernel() are for x86-64 and arm64"
#endif

int main(int argc, char **argv);
_Noreturn void begin(long *stack);

char **environ;
unsigned long __stack_chk_guard; /* -mstack-protector-guard=global */
/* Hidden, so that they are found from where the code is: a table of addresses is of no use before it is relocated. */
extern char __ehdr_start[] __attribute__((visibility("hidden")));
extern const ElfW(Dyn) dynamic[] __asm__("_DYNAMIC") __attribute__((visibility("hidden")));

/* Pointers in our data are relative to where the kernel has put us. */
__attribute__((no_stack_protector)) static void relocate(void)
{
	const ElfW(Rela) *one = NULL;
	size_t bytes = 0;

	for (const ElfW(Dyn) *d = dynamic; d->d_tag != DT_NULL; d++) {
		if (d->d_tag == DT_RELA)
			one = (const void *)(__ehdr_start + d->d_un.d_ptr);
		if (d->d_tag == DT_RELASZ)
			bytes = d->d_un.d_val;
	}
	for (; bytes >= sizeof(*one); one++, bytes -= sizeof(*one))
		if (ELF64_R_TYPE(one->r_info) == RELATIVE)
			*(ElfW(Addr) *)(void *)(__ehdr_start + one->r_offset) = (ElfW(Addr))__ehdr_start + (ElfW(Addr))one->r_addend;
}

__attribute__((used, no_stack_protector)) _Noreturn void begin(long *stack)
{
	char **argv = (char **)(stack + 1), **end;

	relocate();
	for (end = environ = argv + stack[0] + 1; *end; end++)
		;
	for (const ElfW(auxv_t) *have = (const void *)(end + 1); have->a_type != AT_NULL; have++)
		if (have->a_type == AT_RANDOM)
			__stack_chk_guard = *(const unsigned long *)have->a_un.a_val & ~0xffUL; /* no text runs over a zero */
	exit(main((int)stack[0], argv));
}

__attribute__((used)) _Noreturn void __stack_chk_fail(void)
{
	for (;;)
		__builtin_trap();
}

_Noreturn void exit(int status)
{
	for (;;)
		kernel(SYS_exit_group, status, 0, 0, 0, 0, 0);
}

_Noreturn void _exit(int status)
{
	exit(status);
}

int *__errno_location(void)
{
	static int last;

	return &last;
}

static long asked(long number, long a, long b, long c, long d, long e, long f)
{
	const long answer = kernel(number, a, b, c, d, e, f);

	if (answer < 0 && answer > -4096) {
		errno = (int)-answer;
		return -1;
	}
	return answer;
}

#define ASK(number, a, b, c, d, e, f) \
	asked(SYS_##number, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

ssize_t read(int fd, void *to, size_t length)
{
	return ASK(read, fd, to, length, 0, 0, 0);
}

ssize_t write(int fd, const void *from, size_t length)
{
	return ASK(write, fd, from, length, 0, 0, 0);
}

int open(const char *path, int how, ...)
{
	return (int)ASK(openat, AT_FDCWD, path, how, 0, 0, 0); /* nothing is made here, so there is no mode */
}

int close(int fd)
{
	return (int)ASK(close, fd, 0, 0, 0, 0, 0);
}

int fcntl(int fd, int what, ...)
{
	return (int)ASK(fcntl, fd, what, 0, 0, 0, 0);
}

off_t lseek(int fd, off_t to, int from)
{
	return ASK(lseek, fd, to, from, 0, 0, 0);
}

int dup2(int fd, int as)
{
	return (int)ASK(dup3, fd, as, 0, 0, 0, 0);
}

int stat(const char *restrict path, struct stat *restrict found)
{
	return (int)ASK(newfstatat, AT_FDCWD, path, found, 0, 0, 0);
}

int fstat(int fd, struct stat *found)
{
	return (int)ASK(newfstatat, fd, "", found, AT_EMPTY_PATH, 0, 0);
}

int memfd_create(const char *name, unsigned how)
{
	return (int)ASK(memfd_create, name, how, 0, 0, 0, 0);
}

int execv(const char *path, char *const args[])
{
	return (int)ASK(execve, path, args, environ, 0, 0, 0);
}

ssize_t getrandom(void *to, size_t length, unsigned how)
{
	return ASK(getrandom, to, length, how, 0, 0, 0);
}

uid_t geteuid(void)
{
	return (uid_t)ASK(geteuid, 0, 0, 0, 0, 0, 0);
}

int clock_gettime(clockid_t which, struct timespec *found)
{
	return (int)ASK(clock_gettime, which, found, 0, 0, 0, 0);
}

int poll(struct pollfd *of, nfds_t count, int milliseconds)
{
	struct timespec time = { .tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000L };

	return (int)ASK(ppoll, of, count, milliseconds < 0 ? NULL : &time, NULL, 0, 0);
}

int socket(int family, int type, int protocol)
{
	return (int)ASK(socket, family, type, protocol, 0, 0, 0);
}

int connect(int fd, const struct sockaddr *to, socklen_t size)
{
	return (int)ASK(connect, fd, to, size, 0, 0, 0);
}

int shutdown(int fd, int how)
{
	return (int)ASK(shutdown, fd, how, 0, 0, 0, 0);
}

int getsockopt(int fd, int level, int name, void *restrict value, socklen_t *restrict size)
{
	return (int)ASK(getsockopt, fd, level, name, value, size, 0);
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
	return (int)ASK(setsockopt, fd, level, name, value, size, 0);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int how)
{
	return ASK(sendmsg, fd, message, how, 0, 0, 0);
}

ssize_t send(int fd, const void *from, size_t length, int how)
{
	return ASK(sendto, fd, from, length, how, NULL, 0);
}

ssize_t recv(int fd, void *to, size_t length, int how)
{
	return ASK(recvfrom, fd, to, length, how, NULL, NULL);
}

/* Only to ignore a signal or to let it do what it does. */
__sighandler_t signal(int number, __sighandler_t what)
{
	const struct {
		__sighandler_t what;
		unsigned long flags;
		void (*back)(void);
		unsigned long held;
	} action = { .what = what };

	return ASK(rt_sigaction, number, &action, NULL, sizeof(action.held), 0, 0) ? SIG_ERR : SIG_DFL;
}

int sigemptyset(sigset_t *set)
{
	memset(set, 0, sizeof(*set));
	return 0;
}

int sigaddset(sigset_t *set, int number)
{
	set->__val[0] |= 1UL << (number - 1);
	return 0;
}

int sigprocmask(int how, const sigset_t *restrict set, sigset_t *restrict before)
{
	return (int)ASK(rt_sigprocmask, how, set, before, sizeof(set->__val[0]), 0, 0);
}

char *getenv(const char *name)
{
	const size_t length = strlen(name);

	for (char **entry = environ; *entry; entry++)
		if (strncmp(*entry, name, length) == 0 && (*entry)[length] == '=')
			return *entry + length + 1;
	return NULL;
}

void *memcpy(void *restrict to, const void *restrict from, size_t length)
{
	for (size_t i = 0; i < length; i++)
		((char *)to)[i] = ((const char *)from)[i];
	return to;
}

void *memset(void *to, int byte, size_t length)
{
	for (size_t i = 0; i < length; i++)
		((char *)to)[i] = (char)byte;
	return to;
}

size_t strlen(const char *text)
{
	size_t length = 0;

	while (text[length])
		length++;
	return length;
}

int strncmp(const char *one, const char *other, size_t most)
{
	for (; most; one++, other++, most--)
		if (*one != *other || !*one)
			return (unsigned char)*one - (unsigned char)*other;
	return 0;
}

int strcmp(const char *one, const char *other)
{
	return strncmp(one, other, (size_t)-1);
}

char *strrchr(const char *text, int byte)
{
	const char *found = NULL;

	for (;; text++) {
		if (*text == (char)byte)
			found = text;
		if (!*text)
			return (char *)(size_t)found;
	}
}

#endif
