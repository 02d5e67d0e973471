/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <fwdlab/base/file.h>
#include <fwdlab/base/vec.h>

static int fail(struct err *e, const char *path, const char *doing) {
    int code = -errno;
    err_set(e, code, "cannot %s: %s", doing, strerror(-code));
    err_where(e, "%s", path);
    return code;
}

static int write_all(int fd, const char *data, size_t len) {
    while (len) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

/* Devices and pipes are written to directly: they cannot be replaced. */
static int save_special(const char *path, const void *data, size_t len, struct err *e) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return fail(e, path, "open");
    int code = write_all(fd, data, len) ? fail(e, path, "write") : 0;
    close(fd);
    return code;
}

int file_save(const char *path, const void *data, size_t len, struct err *e) {
    struct stat st;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        return save_special(path, data, len, e);
    char *real = realpath(path, NULL); /* what a symbolic link leads to is replaced, not the link */
    const char *target = real ? real : path;
    size_t room = strlen(target) + 8;
    char *tmp = xalloc(room);
    snprintf(tmp, room, "%s.XXXXXX", target);
    int fd = mkstemp(tmp), code;
    if (fd < 0) {
        code = fail(e, path, "create");
        goto out;
    }
    mode_t mask = umask(0);
    umask(mask);
    fchmod(fd, 0666 & ~mask);
    if (write_all(fd, data, len) || fsync(fd))
        code = fail(e, path, "write");
    else if (rename(tmp, target))
        code = fail(e, path, "replace");
    else
        code = 0;
    close(fd);
    if (code)
        unlink(tmp);
out:
    free(tmp);
    free(real);
    return code;
}

int file_load(const char *path, char **data, size_t *len, struct err *e) {
    int fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC) : dup(STDIN_FILENO);
    if (fd < 0)
        return fail(e, path, "open");
    size_t cap = 64 << 10, n = 0;
    char *buf = xalloc(cap + 1);
    for (;;) {
        if (n == cap)
            buf = xrealloc(buf, (cap *= 2) + 1, 1);
        ssize_t got = read(fd, buf + n, cap - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            int code = fail(e, path, "read");
            free(buf);
            close(fd);
            return code;
        }
        if (got == 0)
            break;
        n += (size_t)got;
    }
    close(fd);
    buf[n] = '\0';
    *data = buf;
    *len = n;
    return 0;
}

int dir_make(const char *path, struct err *e) {
    char *part = xstrdup(path);
    int code = 0;
    for (char *p = part + (*part == '/'); !code; p++) {
        if (*p && *p != '/')
            continue;
        char end = *p;
        *p = '\0';
        struct stat st;
        if (mkdir(part, 0777) && (errno != EEXIST || stat(part, &st) || (!S_ISDIR(st.st_mode) && (errno = ENOTDIR))))
            code = fail(e, part, "make the folder");
        *p = end;
        if (!end)
            break;
    }
    free(part);
    return code;
}
