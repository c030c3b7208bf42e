/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Kernel operations, each between two marks that tests/bench/opcount.c counts between. Runs as /init of an
 * initramfs: in dom0 on ours, in dom0 on stock Xen, and on the bare kernel; then it powers the machine off.
 *
 * Per operation it prints "bench: NAME ITERATIONS", in the order of the counter's lines, and the wall time; with bench_trace
 * in the environment the hypervisor records all events meanwhile, and "bench: records NAME BYTES" tells how much came.
 *
 * In a guest (dirtylog.py) it makes all operations several times: bench_passes=N,... in the environment names the passes. Each
 * begins when a line comes from the console, after "bench: pass NAME", and each operation lasts bench_ms milliseconds.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tracing.h"

#define MARK(n) __asm__ volatile(".byte 0x0f,0x1f,0x80; .long 0x4d410000 + %c0" : : "i"(n) : "memory")
#define PAGE    4096ul
#define TOUCHED 512ul

static bool tracing;
static volatile sig_atomic_t faults;
static char *area;

static void die(const char *what)
{
	printf("bench: failed: %s: %s\n", what, strerror(errno));
	fflush(stdout);
	reboot(RB_POWER_OFF);
	_exit(1);
}

static void null_syscall(unsigned n)
{
	while (n--)
		syscall(SYS_getppid);
}

static int zero_fd, null_fd;

static void read_byte(unsigned n)
{
	char c;

	while (n--)
		if (read(zero_fd, &c, 1) != 1)
			die("read");
}

static void write_byte(unsigned n)
{
	while (n--)
		if (write(null_fd, "x", 1) != 1)
			die("write");
}

static void on_signal(int sig)
{
	(void)sig;
	faults++;
}

static void signal_self(unsigned n)
{
	pid_t me = getpid();

	signal(SIGUSR1, on_signal);
	while (n--)
		kill(me, SIGUSR1);
}

static int ping[2], pong[2];
static pid_t partner;

static void switch_prepare(void)
{
	char c;

	if (pipe(ping) || pipe(pong))
		die("pipe");
	partner = fork();
	if (partner < 0)
		die("fork");
	if (!partner) {
		close(ping[1]);
		close(pong[0]);
		while (read(ping[0], &c, 1) == 1)
			if (write(pong[1], &c, 1) != 1)
				break;
		_exit(0);
	}
	close(ping[0]);
	close(pong[1]);
}

/* One iteration is two switches and two pipe transfers. */
static void context_switch(unsigned n)
{
	char c = 0;

	while (n--)
		if (write(ping[1], &c, 1) != 1 || read(pong[0], &c, 1) != 1)
			die("pipe");
}

static void touch_prepare(void)
{
	area = mmap(NULL, TOUCHED * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (area == MAP_FAILED)
		die("mmap");
	madvise(area, TOUCHED * PAGE, MADV_NOHUGEPAGE);
}

static void first_touch(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		((volatile char *)area)[i * PAGE] = 1;
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)info, (void)context;
	faults++;
	mprotect(area, PAGE, PROT_READ | PROT_WRITE);
}

static void protection_prepare(void)
{
	struct sigaction sa = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };

	touch_prepare();
	first_touch(TOUCHED);
	sigaction(SIGSEGV, &sa, NULL);
}

/* One iteration: mprotect of a page, a fault with its signal, mprotect back. */
static void protection_fault(unsigned n)
{
	while (n--) {
		mprotect(area, PAGE, PROT_READ);
		((volatile char *)area)[0] = 1;
	}
}

static void mprotect_256(unsigned n)
{
	while (n--) {
		mprotect(area, 256 * PAGE, PROT_READ);
		mprotect(area, 256 * PAGE, PROT_READ | PROT_WRITE);
	}
}

static void map_unmap(unsigned n)
{
	while (n--) {
		char *p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			die("mmap");
		*p = 1;
		munmap(p, 4 * PAGE);
	}
}

static void wait_for(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status))
		die("child");
}

static void fork_exit(unsigned n)
{
	while (n--) {
		pid_t pid = fork();

		if (!pid)
			_exit(0);
		wait_for(pid);
	}
}

static void exec_self(unsigned n)
{
	while (n--) {
		pid_t pid = vfork();

		if (!pid) {
			execl("/init", "init", "exit", NULL);
			_exit(1);
		}
		wait_for(pid);
	}
}

static void shell(unsigned n)
{
	while (n--) {
		pid_t pid = fork();

		if (!pid) {
			execl("/bin/busybox", "sh", "-c", "true; exit 0", NULL);
			_exit(1);
		}
		wait_for(pid);
	}
}

static const struct bench {
	const char *name;
	unsigned iterations;
	void (*run)(unsigned);
	void (*prepare)(void);
} benches[] = {
	{ "null-syscall", 2000, null_syscall, NULL },
	{ "read", 2000, read_byte, NULL },
	{ "write", 2000, write_byte, NULL },
	{ "signal", 1000, signal_self, NULL },
	{ "context-switch", 500, context_switch, switch_prepare },
	{ "first-touch", TOUCHED, first_touch, touch_prepare },
	{ "protection-fault", 200, protection_fault, protection_prepare },
	{ "mprotect-256", 20, mprotect_256, NULL },
	{ "mmap-munmap", 200, map_unmap, NULL },
	{ "fork-exit", 50, fork_exit, NULL },
	{ "exec", 50, exec_self, NULL },
	{ "shell", 20, shell, NULL },
};

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static double stretch(const struct bench *b, unsigned iterations)
{
	double begin, spent;

	if (tracing)
		tracing_forget();
	begin = now_us();
	MARK(1);
	b->run(iterations);
	MARK(2);
	spent = now_us() - begin;
	if (tracing)
		printf("bench: records %s %.1f\n", b->name, (double)tracing_bytes() / iterations);
	printf("bench: %s %u %.1f\n", b->name, iterations, spent / iterations);
	fflush(stdout);
	return spent;
}

/* us: how long it ought to last; 0: as many iterations as the table says. */
static void one(const struct bench *b, double us)
{
	double begin, spent = 0;

	if (b->prepare)
		b->prepare();
	if (b->run == first_touch) {
		/* Once for each page. */
		for (;;) {
			spent += stretch(b, b->iterations);
			if (spent >= us)
				break;
			munmap(area, TOUCHED * PAGE);
			touch_prepare();
		}
		return;
	}
	b->run(2); /* warm */
	if (!us) {
		stretch(b, b->iterations);
		return;
	}
	begin = now_us();
	b->run(b->iterations);
	spent = now_us() - begin;
	stretch(b, (unsigned)(b->iterations * (us / spent + 1)));
}

static void all(double us)
{
	for (unsigned i = 0; i < sizeof(benches) / sizeof(benches[0]); i++)
		one(&benches[i], us);
}

static void passes(char *names)
{
	char line[16];
	pid_t pid;

	for (char *name = strtok(names, ","); name; name = strtok(NULL, ",")) {
		printf("bench: pass %s\n", name);
		fflush(stdout);
		if (!fgets(line, sizeof(line), stdin))
			die("console");
		/* In a process of its own, so that each begins with the same memory. */
		pid = fork();
		if (!pid) {
			all(atoi(getenv("bench_ms")) * 1e3);
			_exit(0);
		}
		wait_for(pid);
	}
}

int main(int argc, char **argv)
{
	char *names = getenv("bench_passes");

	if (argc > 1 && !strcmp(argv[1], "exit"))
		return 0;
	MARK(2); /* boot to /init: the counter begins at power-on */
	printf("bench: boot 1 0\n");
	zero_fd = open("/dev/zero", O_RDONLY);
	null_fd = open("/dev/null", O_WRONLY);
	if (zero_fd < 0 || null_fd < 0)
		die("/dev");
	tracing = getenv("bench_trace");
	if (tracing)
		tracing_start();
	if (names && getenv("bench_ms"))
		passes(names);
	else
		all(0);
	printf("bench: done\n");
	fflush(stdout);
	sleep(1);
	reboot(RB_POWER_OFF);
	return 0;
}
