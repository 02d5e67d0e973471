/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <fwdlab/base/file.h>
#include <fwdlab/base/vec.h>

#define BUFFER (1u << 20)

static int fail(struct err *e, const char *path, const char *doing) {
    int code = -errno;
    err_set(e, code, "cannot %s: %s", doing, strerror(-code));
    err_where(e, "%s", path);
    return code;
}

static bool is_special(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
}

static int open_temporary(struct file_draft *d) {
    char *real = realpath(d->path, NULL); /* what a symbolic link leads to is replaced, not the link */
    d->target = xstrdup(real ? real : d->path);
    free(real);
    size_t room = strlen(d->target) + sizeof ".XXXXXX";
    char *name = xalloc(room);
    snprintf(name, room, "%s.XXXXXX", d->target);
    int fd = mkostemp(name, O_CLOEXEC);
    if (fd < 0) {
        free(name);
        return fd;
    }
    d->temporary = name;
    mode_t mask = umask(0);
    umask(mask);
    fchmod(fd, 0666 & ~mask);
    return fd;
}

int file_draft_open(struct file_draft *d, const char *path, struct err *e) {
    *d = (struct file_draft){.path = xstrdup(path)};
    bool special = is_special(path);
    int fd = special ? open(path, O_WRONLY | O_CLOEXEC) : open_temporary(d);
    if (fd < 0) {
        int code = fail(e, path, special ? "open" : "create");
        file_draft_abandon(d);
        return code;
    }
    d->file = fdopen(fd, "wb");
    setvbuf(d->file, NULL, _IOFBF, BUFFER);
    return 0;
}

int file_draft_write(struct file_draft *d, const void *data, size_t len) {
    errno = EIO; /* unless the system says more */
    if (!d->error && len && fwrite(data, 1, len, d->file) != len)
        d->error = -errno;
    return d->error;
}

int file_draft_close(struct file_draft *d, struct err *e) {
    errno = -d->error;
    if (d->error || fflush(d->file) || (d->temporary && fsync(fileno(d->file))))
        d->error = fail(e, d->path, "write");
    else if (d->temporary && rename(d->temporary, d->target))
        d->error = fail(e, d->path, "replace");
    int code = d->error;
    if (!code) {
        free(d->temporary); /* it has its name now: nothing to remove */
        d->temporary = NULL;
    }
    file_draft_abandon(d);
    return code;
}

void file_draft_abandon(struct file_draft *d) {
    if (d->file)
        fclose(d->file);
    if (d->temporary)
        unlink(d->temporary);
    free(d->temporary);
    free(d->target);
    free(d->path);
    *d = (struct file_draft){0};
}

int file_save(const char *path, const void *data, size_t len, struct err *e) {
    struct file_draft d;
    int code = file_draft_open(&d, path, e);
    if (code)
        return code;
    file_draft_write(&d, data, len);
    return file_draft_close(&d, e);
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
