/* Nanoseconds that batches took, and the 10th percentile of them: what a busy machine disturbs least. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int by_time(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;
	return (left > right) - (left < right);
}

static void say_tenth(double *took, int batches)
{
	qsort(took, (size_t)batches, sizeof *took, by_time);
	printf("%.1f\n", took[batches / 10]);
}
