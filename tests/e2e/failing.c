/* Lets the n-th write, fsync or rename below one folder fail, and with `lasting` all writes after it: a full disk.
   Preloaded before libc; armed by the program itself. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *folder;
static long left, seen;
static int failure, lasting;

void arm(const char *under, long n, int error, int stays) {
    folder = under;
    left = n;
    seen = 0;
    failure = error;
    lasting = stays;
}

long disarm(void) {
    folder = NULL;
    return seen;
}

static int refused(const char *path, int writes) {
    if (!folder || strncmp(path, folder, strlen(folder)) != 0) return 0;
    seen++;
    if (seen != left && !(lasting && writes && seen > left)) return 0;
    errno = failure;
    return 1;
}

static int refused_open(int handle, int writes) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", handle);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size < 0) return 0;
    path[size] = 0;
    return refused(path, writes);
}

#define LIBC(type, name, ...) static type (*real)(__VA_ARGS__); if (!real) *(void **)&real = dlsym(RTLD_NEXT, #name)

ssize_t write(int handle, const void *bytes, size_t size) {
    LIBC(ssize_t, write, int, const void *, size_t);
    return refused_open(handle, 1) ? -1 : real(handle, bytes, size);
}

ssize_t pwrite(int handle, const void *bytes, size_t size, off_t at) {
    LIBC(ssize_t, pwrite, int, const void *, size_t, off_t);
    return refused_open(handle, 1) ? -1 : real(handle, bytes, size, at);
}

ssize_t pwrite64(int handle, const void *bytes, size_t size, off64_t at) {
    LIBC(ssize_t, pwrite64, int, const void *, size_t, off64_t);
    return refused_open(handle, 1) ? -1 : real(handle, bytes, size, at);
}

int fsync(int handle) {
    LIBC(int, fsync, int);
    return refused_open(handle, 0) ? -1 : real(handle);
}

int fdatasync(int handle) {
    LIBC(int, fdatasync, int);
    return refused_open(handle, 0) ? -1 : real(handle);
}

int rename(const char *from, const char *to) {
    LIBC(int, rename, const char *, const char *);
    return refused(to, 0) ? -1 : real(from, to);
}
