/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writes pcapng in this machine's byte order: one section, interfaces with nanosecond times, enhanced packet blocks
 * with direction and comment. All goes to a temporary file beside the path, which takes its name when it is whole.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "format.h"

#define BUFFER (1u << 20)
#define TEXT_MAX 65535u /* an option's length has 16 bits */

struct trace_writer {
    char *path, *temporary;
    FILE *file;
    uint32_t interfaces;
    int error; /* the first one, -errno; everything after it is refused with the same */
};

struct piece {
    const void *data;
    size_t len;
};

static size_t pad(size_t len) {
    return -len & 3;
}

/* The file's bytes: `pieces`, each padded to 4, between type and length and the length again. */
static int write_block(struct trace_writer *w, uint32_t type, const struct piece *pieces, unsigned n) {
    static const uint8_t zero[4];
    uint32_t head[2] = {type, 12};
    for (unsigned i = 0; i < n; i++)
        head[1] += (uint32_t)(pieces[i].len + pad(pieces[i].len));
    if (w->error)
        return w->error;
    bool good = fwrite(head, sizeof head, 1, w->file);
    for (unsigned i = 0; i < n; i++) {
        size_t padding = pad(pieces[i].len);
        good = good && fwrite(pieces[i].data, 1, pieces[i].len, w->file) == pieces[i].len &&
               fwrite(zero, 1, padding, w->file) == padding;
    }
    good = good && fwrite(&head[1], sizeof head[1], 1, w->file);
    if (!good)
        w->error = errno ? -errno : -EIO;
    return w->error;
}

static int open_temporary(struct trace_writer *w) {
    size_t room = strlen(w->path) + sizeof ".XXXXXX";
    char *name = xalloc(room);
    snprintf(name, room, "%s.XXXXXX", w->path);
    int fd = mkstemp(name);
    if (fd < 0) {
        vec_release(name);
        return -errno;
    }
    w->temporary = name;
    mode_t mask = umask(0);
    umask(mask);
    fchmod(fd, 0666 & ~mask);
    w->file = fdopen(fd, "wb");
    setvbuf(w->file, NULL, _IOFBF, BUFFER);
    return 0;
}

struct trace_writer *trace_writer_open(const char *path, struct err *e) {
    struct trace_writer *w = xzalloc(1, sizeof *w);
    w->path = xstrdup(path);
    int r = open_temporary(w);
    if (r) {
        err_set(e, r, "cannot be written: %s", strerror(-r));
        err_where(e, "%s", path);
        trace_writer_abandon(w);
        return NULL;
    }
    struct { uint32_t order; uint16_t major, minor; int64_t section_len; } head = {0x1a2b3c4d, 1, 0, -1 /* not told */};
    write_block(w, 0x0a0d0d0a, &(struct piece){&head, sizeof head}, 1);
    return w;
}

int trace_writer_interface(struct trace_writer *w, const char *name, uint16_t linktype, uint32_t snaplen) {
    size_t name_len = strlen(name);
    if (name_len > TEXT_MAX || w->interfaces >= INTERFACES_MAX)
        return -EINVAL;
    struct { uint16_t linktype, reserved; uint32_t snaplen; } head = {linktype, 0, snaplen};
    uint16_t name_option[2] = {2, (uint16_t)name_len};
    uint16_t resolution_option[2] = {9, 1};
    struct piece pieces[] = {{&head, sizeof head}, {name_option, sizeof name_option}, {name, name_len},
                             {resolution_option, sizeof resolution_option}, {"\x09", 1}, {"\0\0\0\0", 4}};
    int r = write_block(w, 1, pieces, 6);
    return r ? r : (int)w->interfaces++;
}

int trace_writer_packet(struct trace_writer *w, const struct trace_packet *p) {
    size_t comment_len = p->comment ? strlen(p->comment) : 0;
    if (p->interface >= w->interfaces || p->len > PACKET_MAX || comment_len > TEXT_MAX)
        return -EINVAL;
    uint32_t head[5] = {p->interface, (uint32_t)(p->time_ns >> 32), (uint32_t)p->time_ns, p->len,
                        p->wire_len > p->len ? p->wire_len : p->len};
    struct { uint16_t code, len; uint32_t flags; } direction = {2, 4, p->direction};
    uint16_t comment[2] = {1, (uint16_t)comment_len};
    struct piece pieces[6] = {{head, sizeof head}, {p->data, p->len}};
    unsigned n = 2;
    if (p->direction != TRACE_DIRECTION_UNKNOWN)
        pieces[n++] = (struct piece){&direction, sizeof direction};
    if (comment_len) {
        pieces[n++] = (struct piece){comment, sizeof comment};
        pieces[n++] = (struct piece){p->comment, comment_len};
    }
    if (n > 2)
        pieces[n++] = (struct piece){"\0\0\0\0", 4}; /* opt_endofopt */
    return write_block(w, 6, pieces, n);
}

int trace_writer_close(struct trace_writer *w, struct err *e) {
    int r = w->error;
    if (!r && (fflush(w->file) || fsync(fileno(w->file)) || rename(w->temporary, w->path)))
        r = -errno;
    if (r) {
        err_set(e, r, "writing failed: %s", strerror(-r));
        err_where(e, "%s", w->path);
    } else {
        vec_release(w->temporary); /* it has its name now: nothing to remove */
        w->temporary = NULL;
    }
    trace_writer_abandon(w);
    return r;
}

void trace_writer_abandon(struct trace_writer *w) {
    if (!w)
        return;
    if (w->file)
        fclose(w->file);
    if (w->temporary)
        unlink(w->temporary);
    vec_release(w->temporary);
    vec_release(w->path);
    vec_release(w);
}
