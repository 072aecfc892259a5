/* A disk under the copies of a replica, to be preloaded: it remembers what it was told since it was last synced, and fails.
 *
 * DISK_JOURNAL  a file: what was at each place before it was written to, of all writes since the last sync
 * DISK_FAILS    how many writes and syncs of a thousand fail
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static int is_copy(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 9) return 0;
    path[length] = 0;
    return strstr(path, "/copy-") && !strcmp(path + length - 9, "/data.mdb");
}

static int journal(void) {
    static int fd = -2;
    if (fd == -2) {
        const char *path = getenv("DISK_JOURNAL");
        fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    }
    return fd;
}

static int fails(void) {
    static long rate = -1;
    static unsigned seed;
    if (rate < 0) {
        const char *text = getenv("DISK_FAILS");
        rate = text ? atol(text) : 0;
        seed = (unsigned)getpid();
    }
    if (rate == 0 || rand_r(&seed) % 1000 >= rate) return 0;
    errno = rand_r(&seed) % 2 ? EIO : ENOSPC;
    return 1;
}

/* Remembers what is at a place: its offset, how long it is, and how much of that was there. */
static void remember(int fd, off_t offset, size_t length) {
    if (journal() < 0) return;
    char *bytes = calloc(1, 24 + length);
    int reader = -1;
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    reader = open(link, O_RDONLY | O_CLOEXEC);
    ssize_t there = reader < 0 ? 0 : pread(reader, bytes + 24, length, offset);
    if (reader >= 0) close(reader);
    uint64_t head[3] = {(uint64_t)offset, length, there < 0 ? 0 : (uint64_t)there};
    memcpy(bytes, head, 24);
    if (write(journal(), bytes, 24 + length) < 0) abort();
    free(bytes);
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) {
    if (is_copy(fd)) {
        if (fails()) return -1;
        remember(fd, offset, length);
    }
    return NEXT(pwrite)(fd, bytes, length, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) {
    return pwrite(fd, bytes, length, offset);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
    if (is_copy(fd)) {
        if (fails()) return -1;
        size_t length = 0;
        for (int i = 0; i < count; i++) length += parts[i].iov_len;
        remember(fd, offset, length);
    }
    return NEXT(pwritev)(fd, parts, count, offset);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) {
    return pwritev(fd, parts, count, offset);
}

static int synced(int fd, int (*sync)(int)) {
    if (!is_copy(fd)) return sync(fd);
    if (fails()) return -1;
    int done = sync(fd);
    if (done == 0 && journal() >= 0 && ftruncate(journal(), 0) < 0) abort();
    return done;
}

int fdatasync(int fd) { return synced(fd, NEXT(fdatasync)); }
int fsync(int fd) { return synced(fd, NEXT(fsync)); }
