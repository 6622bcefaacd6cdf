/* Preloaded into a process, counts the calls that change files below a folder and fails the n-th, or dies in it.

   It stands between every library of the process (Python, Arrow, DuckDB) and the kernel: what is failed here is failed
   for all of them. Nothing happens before fault_arm is called. Linux with glibc. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KILL (-1)
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static char folder[PATH_MAX];
static int armed, fault, lasting, journal;
static long place;
static atomic_long calls;

/* Arm: in calls below `under`, the n-th is failed with `error` (KILL: the process dies), if `last` so are all that
   follow but for removals; n = 0 fails none. Each call is written to the descriptor `to` as one line. */
void fault_arm(const char *under, long n, int error, int last, int to) {
    snprintf(folder, sizeof folder, "%s/", under);
    place = n, fault = error, lasting = last, journal = to;
    atomic_store(&calls, 0);
    armed = 1;
}

static void absolute(char *to, int base, const char *path) {
    char from[64];
    ssize_t length = 0;
    if (path[0] != '/') {
        snprintf(from, sizeof from, base == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", base);
        length = readlink(from, to, PATH_MAX / 2);
        if (length < 0) length = 0;
        to[length++] = '/';
    }
    snprintf(to + length, PATH_MAX - length, "%s", path);
}

/* Give what is to become of a call: 0 it is made, KILL, or the error it fails with. */
static int judged(const char *name, const char *path) {
    char line[PATH_MAX + 64];
    if (strncmp(path, folder, strlen(folder)) != 0) return 0;
    long n = atomic_fetch_add(&calls, 1) + 1;
    int length = snprintf(line, sizeof line, "%s %s\n", name, path + strlen(folder));
    if (journal >= 0) (void)!REAL(write)(journal, line, length);
    int removal = strncmp(name, "unlink", 6) == 0;
    return place && (n == place || (n > place && lasting && !removal)) ? fault : 0;
}

static int at_path(const char *name, int base, const char *path) {
    char whole[PATH_MAX];
    if (!armed) return 0;
    absolute(whole, base, path);
    return judged(name, whole);
}

static int at_file(const char *name, int file) {
    char from[64], path[PATH_MAX];
    if (!armed || file == journal) return 0;
    snprintf(from, sizeof from, "/proc/self/fd/%d", file);
    ssize_t length = readlink(from, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return judged(name, path);
}

static int failed(int error) {
    if (error == KILL) kill(getpid(), SIGKILL);
    errno = error;
    return -1;
}

/* A write that is cut short: half of it is done. What follows on a full disk then fails. */
#define WRITE(name, declared, given)                                      \
    ssize_t name declared {                                               \
        int error = at_file("write", file);                               \
        if (error == 0) return REAL(name) given;                          \
        int whole = size < 2 || (error != KILL && error != ENOSPC);       \
        size /= 2;                                                        \
        ssize_t done = whole ? -1 : REAL(name) given;                     \
        return error == ENOSPC && done > 0 ? done : failed(error);        \
    }

WRITE(write, (int file, const void *data, size_t size), (file, data, size))
WRITE(pwrite, (int file, const void *data, size_t size, off_t at), (file, data, size, at))
WRITE(pwrite64, (int file, const void *data, size_t size, off64_t at), (file, data, size, at))

#define CALL(name, judge, declared, given)            \
    int name declared {                               \
        int error = judge;                            \
        return error ? failed(error) : REAL(name) given; \
    }

CALL(fsync, at_file("fsync", file), (int file), (file))
CALL(fdatasync, at_file("fsync", file), (int file), (file))
CALL(ftruncate, at_file("truncate", file), (int file, off_t size), (file, size))
CALL(ftruncate64, at_file("truncate", file), (int file, off64_t size), (file, size))
CALL(rename, at_path("rename", AT_FDCWD, to), (const char *from, const char *to), (from, to))
CALL(renameat, at_path("rename", there, to), (int here, const char *from, int there, const char *to),
     (here, from, there, to))
CALL(renameat2, at_path("rename", there, to),
     (int here, const char *from, int there, const char *to, unsigned how), (here, from, there, to, how))
CALL(link, at_path("link", AT_FDCWD, to), (const char *from, const char *to), (from, to))
CALL(linkat, at_path("link", there, to), (int here, const char *from, int there, const char *to, int how),
     (here, from, there, to, how))
CALL(unlink, at_path("unlink", AT_FDCWD, path), (const char *path), (path))
CALL(unlinkat, at_path("unlink", base, path), (int base, const char *path, int how), (base, path, how))
CALL(rmdir, at_path("unlink", AT_FDCWD, path), (const char *path), (path))
CALL(mkdir, at_path("mkdir", AT_FDCWD, path), (const char *path, mode_t mode), (path, mode))
CALL(mkdirat, at_path("mkdir", base, path), (int base, const char *path, mode_t mode), (base, path, mode))

/* Opening counts where it may make a file. */
#define OPEN(name, base, declared, ...)                        \
    int name declared {                                        \
        va_list more;                                          \
        va_start(more, how);                                   \
        mode_t mode = how & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0; \
        va_end(more);                                          \
        int error = how & O_CREAT ? at_path("create", base, path) : 0; \
        return error ? failed(error) : REAL(name)(__VA_ARGS__, how, mode); \
    }

OPEN(open, AT_FDCWD, (const char *path, int how, ...), path)
OPEN(open64, AT_FDCWD, (const char *path, int how, ...), path)
OPEN(openat, at, (int at, const char *path, int how, ...), at, path)
OPEN(openat64, at, (int at, const char *path, int how, ...), at, path)
