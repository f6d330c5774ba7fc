// SPDX-License-Identifier: BSD-2-Clause
/*
 * sched - threads that burn, sleep, hop between CPUs, take faults, or come and go, and know what they did.
 *
 *	sched burn THREADS MS [hop]	each burns CPU for MS of wall time; hop: moved to another CPU ten times a second
 *	sched mix MS			one thread each that burns, sleeps, and does both
 *	sched pingpong ROUNDS		two threads that wake each other ROUNDS times
 *	sched fault PAGES		touches PAGES fresh pages
 *	sched fork N			N children, one after another, each burning a little and exiting
 *	sched threads N			N threads at once that sleep until the end of input
 *	sched procs N			N processes at once that sleep until the end of input
 *	sched waits N			N naps beside a burner on the same CPU; says how long each wait after them was
 *	sched exec				execs itself from a second thread as "renamed"
 *	sched leaderless MS		the main thread ends, another burns for MS
 *
 * Says {"ready": true}, works on a line of input, says what it did, and ends at the end of input.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_THREADS 8192

static pthread_t threads[MAX_THREADS];
static atomic_bool stop;
static sem_t ping, pong;

static long long now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

static void burn_until(long long end)
{
	while (now_ns() < end)
		;
}

static void nap(long ms)
{
	nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
}

static void wait_for_line(void)
{
	char c;

	while (read(0, &c, 1) == 1)
		if (c == '\n')
			return;
	exit(0);
}

static void wait_for_end(void)
{
	char c;

	while (read(0, &c, 1) > 0)
		;
}

static void *burner(void *arg)
{
	burn_until(now_ns() + (long)arg * 1000000ll);
	return NULL;
}

/* Moves the thread it is given between the CPUs while it works. */
static void *hopper(void *arg)
{
	int n = sysconf(_SC_NPROCESSORS_ONLN);
	long count = (long)arg;

	for (int turn = 0; !stop; turn++) {
		for (long i = 0; i < count; i++) {
			cpu_set_t set;

			CPU_ZERO(&set);
			CPU_SET((turn + i) % n, &set);
			pthread_setaffinity_np(threads[i], sizeof(set), &set);
		}
		nap(100);
	}
	return NULL;
}

static void *sleeper(void *arg)
{
	nap((long)arg);
	return NULL;
}

static void *mixer(void *arg)
{
	long long end = now_ns() + (long)arg * 1000000ll;

	while (now_ns() < end) {
		burn_until(now_ns() + 3000000);
		nap(7);
	}
	return NULL;
}

static void *ponger(void *arg)
{
	for (long i = (long)arg; i > 0; i--) {
		sem_wait(&ping);
		sem_post(&pong);
	}
	return NULL;
}

static void *idler(void *arg)
{
	(void)arg;
	while (!stop)
		nap(1000000);
	return NULL;
}

static void *late_burner(void *arg)
{
	struct timespec cpu;

	prctl(PR_SET_NAME, "late");
	burn_until(now_ns() + (long)arg * 1000000ll);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
	printf("{\"cpu_us\": %ld}\n", cpu.tv_sec * 1000000 + cpu.tv_nsec / 1000);
	fflush(stdout);
	wait_for_end();
	_exit(0);
}

static void *execer(void *arg)
{
	execv("/proc/self/exe", (char *[]){ "renamed", "renamed", NULL });
	return arg;
}

static void start(int i, void *(*work)(void *), long arg)
{
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 65536);
	if (pthread_create(&threads[i], &attr, work, (void *)arg)) {
		fprintf(stderr, "sched: thread %d: %s\n", i, strerror(errno));
		exit(1);
	}
	pthread_attr_destroy(&attr);
}

static void do_fork(long n)
{
	for (volatile long i = 0; i < n; i++) {
		pid_t pid = vfork();

		if (pid == 0) {
			burn_until(now_ns() + 100000);
			_exit(0);
		}
		waitpid(pid, NULL, 0);
	}
}

static void do_faults(long pages)
{
	char *memory =
		mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	madvise(memory, pages * 4096, MADV_NOHUGEPAGE);
	for (long i = 0; i < pages; i++)
		memory[i * 4096] = 1;
}

static void do_procs(long n)
{
	for (long i = 0; i < n; i++) {
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, 9);
			pause();
			_exit(0);
		}
	}
}

static long long run_delay(int fd)
{
	char text[128] = "";
	long long cpu, delay = 0;

	if (pread(fd, text, sizeof(text) - 1, 0) > 0)
		sscanf(text, "%lld %lld", &cpu, &delay);
	return delay;
}

/* Every wait for the CPU, as schedstat's run_delay grows by it. */
static void do_waits(long n)
{
	int fd = open("/proc/self/schedstat", O_RDONLY);
	long long before, after;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	sched_setaffinity(0, sizeof(set), &set);
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, 9);
		for (;;)
			;
	}
	before = run_delay(fd);
	printf("{\"waits\": [");
	for (long i = 0; i < n; i++) {
		nap(2);
		after = run_delay(fd);
		printf("%s%lld", i ? ", " : "", after - before);
		before = after;
	}
	printf("]}\n");
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	long n = argc > 2 ? strtol(argv[2], NULL, 10) : 0,
	     ms = argc > 3 ? strtol(argv[3], NULL, 10) : 0;
	struct rusage usage;
	long count = 0;

	if (strcmp(argv[0], "renamed") == 0) {
		printf("{\"done\": true}\n");
		fflush(stdout);
		wait_for_end();
		return 0;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("{\"ready\": true, \"pid\": %d}\n", getpid());
	wait_for_line();
	if (strcmp(what, "burn") == 0) {
		for (count = 0; count < n; count++)
			start(count, burner, ms);
		if (argc > 4)
			start(count, hopper, n);
		for (long i = 0; i < n; i++)
			pthread_join(threads[i], NULL);
		stop = true;
		if (argc > 4)
			pthread_join(threads[count], NULL);
	} else if (strcmp(what, "mix") == 0) {
		start(count++, burner, n);
		start(count++, sleeper, n);
		start(count++, mixer, n);
		for (long i = 0; i < count; i++)
			pthread_join(threads[i], NULL);
	} else if (strcmp(what, "pingpong") == 0) {
		sem_init(&ping, 0, 0);
		sem_init(&pong, 0, 0);
		start(0, ponger, n);
		for (long i = 0; i < n; i++) {
			sem_post(&ping);
			sem_wait(&pong);
		}
		pthread_join(threads[0], NULL);
	} else if (strcmp(what, "fault") == 0) {
		do_faults(n);
	} else if (strcmp(what, "fork") == 0) {
		do_fork(n);
	} else if (strcmp(what, "threads") == 0) {
		for (; count < n; count++)
			start(count, idler, 0);
	} else if (strcmp(what, "procs") == 0) {
		do_procs(n);
	} else if (strcmp(what, "waits") == 0) {
		setvbuf(stdout, NULL, _IOFBF, 1 << 20);
		do_waits(n);
		fflush(stdout);
		wait_for_end();
		return 0;
	} else if (strcmp(what, "exec") == 0) {
		start(0, execer, 0);
		pause();
	} else if (strcmp(what, "leaderless") == 0) {
		start(0, late_burner, n);
		pthread_exit(NULL);
	} else {
		fprintf(stderr, "sched: no \"%s\"\n", what);
		return 2;
	}
	nap(20); /* threads that were joined may still be on their way out */
	getrusage(RUSAGE_SELF, &usage);
	printf("{\"voluntary\": %ld, \"involuntary\": %ld, \"minflt\": %ld, \"majflt\": %ld, \"cpu_us\": %ld}\n",
	       usage.ru_nvcsw, usage.ru_nivcsw, usage.ru_minflt, usage.ru_majflt,
	       (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 + usage.ru_utime.tv_usec +
		       usage.ru_stime.tv_usec);
	wait_for_end();
	return 0;
}
