/* SPDX-License-Identifier: BSD-2-Clause */
/* The system calls that newlib asks for: a heap of fixed size, a console, a clock; no files, no processes. */
#include "drivers/sys/sys.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#undef errno
extern int errno;

#define HEAP_SIZE (1024 * 1024)

int close(int fd);
int kill(pid_t pid, int sig);
int fstat(int fd, struct stat *st);
int isatty(int fd);
off_t lseek(int fd, off_t offset, int whence);
int gettimeofday(struct timeval *tv, void *tz);

static char heap[HEAP_SIZE] __attribute__((aligned(16))) NOT_ZEROED;
static size_t heap_used;

void *sbrk(ptrdiff_t more)
{
    size_t used = heap_used;

    if (more > (ptrdiff_t)(HEAP_SIZE - used) || more < -(ptrdiff_t)used) {
        errno = ENOMEM;
        return (void *)-1;
    }
    heap_used = (size_t)((ptrdiff_t)used + more);
    if (more > 0)
        memset(heap + used, 0, (size_t)more); /* calloc() counts on it */
    return heap + used;
}

_READ_WRITE_RETURN_TYPE write(int fd, const void *s, size_t n)
{
    (void)fd;
    console_write(s, n);
    return (_READ_WRITE_RETURN_TYPE)n;
}

_READ_WRITE_RETURN_TYPE read(int fd, void *s, size_t n)
{
    (void)fd, (void)s, (void)n;
    return 0;
}

int close(int fd)
{
    (void)fd;
    return 0;
}

int fstat(int fd, struct stat *st)
{
    (void)fd;
    st->st_mode = S_IFCHR;
    return 0;
}

int isatty(int fd)
{
    (void)fd;
    return 1;
}

off_t lseek(int fd, off_t offset, int whence)
{
    (void)fd, (void)offset, (void)whence;
    return 0;
}

int gettimeofday(struct timeval *tv, void *tz)
{
    uint64_t ns = clock_ns();

    (void)tz;
    tv->tv_sec = (time_t)(ns / NS_PER_S);
    tv->tv_usec = (suseconds_t)(ns % NS_PER_S / NS_PER_US);
    return 0;
}

pid_t getpid(void)
{
    return 1;
}

int kill(pid_t pid, int sig)
{
    (void)pid, (void)sig;
    sys_crash("aborted");
}

void _exit(int status)
{
    (void)status;
    sys_crash("main() is over");
}
