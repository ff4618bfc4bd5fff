/* Preloaded, makes a disk fail: while the file BROKEN_DISK_SWITCH exists, opening and reading
 * files beneath the folder BROKEN_DISK_PATH gives EIO, every BROKEN_DISK_EVERY-th time (1). Stands
 * between a program and libc: mapped memory and libc's own calls (fread) are not reached. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static int beneath(const char *path) {
    const char *folder = getenv("BROKEN_DISK_PATH");
    size_t length = folder ? strlen(folder) : 0;
    return length && !strncmp(path, folder, length) && (path[length] == '/' || !path[length]);
}

/* Says whether this call on `path` fails, and counts it. */
static int fails(const char *path) {
    static int calls;
    const char *file = getenv("BROKEN_DISK_SWITCH");
    const char *every = getenv("BROKEN_DISK_EVERY");
    int n = every ? atoi(every) : 1;
    if (!file || !beneath(path) || access(file, F_OK))
        return 0;
    return __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED) % (n > 0 ? n : 1) == 0;
}

static int path_fails(const char *path) {
    int before = errno;
    char whole[PATH_MAX], parent[PATH_MAX];
    char *name;
    int result = 0;
    if (realpath(path, whole))
        result = fails(whole);
    else if ((name = strrchr(path, '/')) && (size_t)(name - path) < sizeof parent) {
        memcpy(parent, path, name - path); /* a file to be made: its folder says where */
        parent[name - path] = 0;
        result = realpath(parent, whole) && fails(whole);
    }
    errno = before;
    return result;
}

static int descriptor_fails(int descriptor) {
    int before = errno;
    char link[32], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = before;
    if (length <= 0)
        return 0;
    path[length] = 0;
    int result = fails(path);
    errno = before;
    return result;
}

#define NEXT(name) __typeof__(&name) next = (__typeof__(&name))dlsym(RTLD_NEXT, #name)
#define BREAK(condition, value) do { if (condition) { errno = EIO; return value; } } while (0)

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        va_list more; \
        va_start(more, flags); \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, mode_t) : 0; \
        va_end(more); \
        NEXT(name); \
        BREAK(path_fails(path), -1); \
        return next(path, flags, mode); \
    }

#define OPENAT(name) \
    int name(int folder, const char *path, int flags, ...) { \
        va_list more; \
        va_start(more, flags); \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, mode_t) : 0; \
        va_end(more); \
        NEXT(name); \
        BREAK(*path == '/' || folder == AT_FDCWD ? path_fails(path) : descriptor_fails(folder), -1); \
        return next(folder, path, flags, mode); \
    }

#define FOPEN(name) \
    FILE *name(const char *path, const char *mode) { \
        NEXT(name); \
        BREAK(path_fails(path), NULL); \
        return next(path, mode); \
    }

/* Defines a reading call of any further arguments, on the descriptor that comes first. */
#define READ(name, parameters, arguments) \
    ssize_t name parameters { \
        NEXT(name); \
        BREAK(descriptor_fails(descriptor), -1); \
        return next arguments; \
    }

OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)
FOPEN(fopen)
FOPEN(fopen64)
READ(read, (int descriptor, void *to, size_t size), (descriptor, to, size))
READ(readv, (int descriptor, const struct iovec *to, int count), (descriptor, to, count))
READ(pread, (int descriptor, void *to, size_t size, off_t at), (descriptor, to, size, at))
READ(pread64, (int descriptor, void *to, size_t size, off64_t at), (descriptor, to, size, at))
