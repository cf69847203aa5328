/* A disk that can be full, and on which only what was synced is safe. To be preloaded.
 *
 * DISK_FILES    the folder whose files are meant
 * DISK_SYNCED   a folder for copies of them, each as it was when it was last synced
 * DISK_FULL     as long as there is a file of this name, nothing can be written
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* No write comes between a sync and its copy. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* The name of an open file within the folder; null for any other. */
static const char *name_of(int fd, char path[PATH_MAX]) {
    const char *folder = getenv("DISK_FILES");
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = folder ? readlink(link, path, PATH_MAX - 1) : -1;
    if (length < 0)
        return NULL;
    path[length] = 0;
    size_t prefix = strlen(folder);
    return strncmp(path, folder, prefix) == 0 && path[prefix] == '/' ? path + prefix + 1 : NULL;
}

static void must(int holds) {
    if (!holds) {
        perror("the copy of a synced file");
        abort();
    }
}

static void copy(int fd) {
    static char path[PATH_MAX], copied[2 * PATH_MAX], part[2 * PATH_MAX + 8], bytes[1 << 16];
    const char *name = name_of(fd, path), *folder = getenv("DISK_SYNCED");
    struct stat status;
    if (!name || !folder || fstat(fd, &status) || !S_ISREG(status.st_mode))
        return;
    snprintf(copied, sizeof copied, "%s/%s", folder, name);
    snprintf(part, sizeof part, "%s.part", copied);
    int out = open(part, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    must(out >= 0);
    ssize_t length;
    for (off_t at = 0; (length = pread(fd, bytes, sizeof bytes, at)) > 0; at += length)
        must(syscall(SYS_pwrite64, out, bytes, length, at) == length);
    must(length == 0);
    close(out);
    /* Whole or not at all, for whoever looks after a kill. */
    must(rename(part, copied) == 0);
}

static int sync_with(long call, int fd) {
    pthread_mutex_lock(&lock);
    int result = (int)syscall(call, fd);
    if (result == 0)
        copy(fd);
    pthread_mutex_unlock(&lock);
    return result;
}

int fsync(int fd) { return sync_with(SYS_fsync, fd); }
int fdatasync(int fd) { return sync_with(SYS_fdatasync, fd); }

/* `at` is -1 for the place where the file is. */
static ssize_t write_to(int fd, const void *bytes, size_t length, off_t at) {
    char path[PATH_MAX];
    int ours = name_of(fd, path) != NULL;
    const char *full = getenv("DISK_FULL");
    if (ours && full && access(full, F_OK) == 0) {
        errno = ENOSPC;
        return -1;
    }
    if (ours)
        pthread_mutex_lock(&lock);
    ssize_t written =
        at < 0 ? syscall(SYS_write, fd, bytes, length) : syscall(SYS_pwrite64, fd, bytes, length, at);
    if (ours)
        pthread_mutex_unlock(&lock);
    return written;
}

ssize_t write(int fd, const void *bytes, size_t length) { return write_to(fd, bytes, length, -1); }
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) { return write_to(fd, bytes, length, at); }
ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t at) { return write_to(fd, bytes, length, at); }

int ftruncate(int fd, off_t length) {
    pthread_mutex_lock(&lock);
    int result = (int)syscall(SYS_ftruncate, fd, length);
    pthread_mutex_unlock(&lock);
    return result;
}
int ftruncate64(int fd, off_t length) { return ftruncate(fd, length); }
