/*
 * The native front of dist/calico: a CNI call or a command line in, python3 run on this same file out.
 *
 * The zip application stands behind this program in the file, so the file is an executable, a CNI plugin,
 * and readable by python3. VERSION is answered here, since runtimes ask for it at every command and
 * starting Python takes longer than all the rest of the answer.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VERSIONS "\"0.1.0\",\"0.2.0\",\"0.3.0\",\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\""

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

/* Python at a fixed place before PATH: a version manager's shim costs 100 ms, and a runtime may give no PATH. */
static void run_python(char **argv)
{
	execv("/usr/bin/python3", argv);
	execv("/usr/local/bin/python3", argv);
	execvp("python3", argv);
}

int main(int argc, char **argv)
{
	static char self[PATH_MAX];
	const char *command = getenv("CNI_COMMAND");
	char **args;
	ssize_t length;

	if (argc <= 1 && command && strcmp(command, "VERSION") == 0)
		return answer_version();
	length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (length <= 0)
		return fail("can not find the plugin's own file", "/proc is needed");
	self[length] = '\0';
	args = calloc((size_t)argc + 5, sizeof(*args));
	if (!args)
		return fail("out of memory", "");
	args[0] = "python3";
	args[1] = "-IS"; /* nothing of the user's or the site's is imported: all is in this file */
	args[2] = self;
	for (int i = 1; i < argc; i++)
		args[2 + i] = argv[i];
	run_python(args);
	return fail("python3 (3.11 or newer) is needed and was not found",
		    "looked at /usr/bin/python3, /usr/local/bin/python3 and PATH");
}
