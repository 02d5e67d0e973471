/* SPDX-License-Identifier: BSD-3-Clause */
/* The byte stream under the readers: input (file or memory) → decompressor, if any → window. See stream.h. */
#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <fwdlab/base/vec.h>
#include "decompress.h"

#define WINDOW (1u << 20)
#define INPUT (1u << 18)

struct stream {
    /* input: a descriptor, or -1 when all of it lies in `in` from the start */
    int fd;
    uint8_t *in_buf;            /* what `in` points into; NULL for memory */
    const uint8_t *in, *in_end; /* bytes read and not yet decompressed */
    uint64_t in_offset;         /* of `in` in the input */
    bool in_ended;
    const struct decompressor *decompressor; /* NULL: plain */
    void *state;
    enum decompress_state at;
    /* window */
    uint8_t *buf;               /* NULL: plain memory, the window is the caller's data */
    const uint8_t *start, *end; /* bytes not yet consumed */
    size_t cap;
    uint64_t offset; /* of `start` */
    bool ended;
    char fault[256];
};

static ssize_t input_read(struct stream *s, void *to, size_t room) {
    ssize_t n;
    do
        n = read(s->fd, to, room);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        snprintf(s->fault, sizeof s->fault, "reading failed: %s", strerror(errno));
    return n;
}

/* Reads more input behind what is there; marks the end of it. */
static void input_fill(struct stream *s) {
    size_t have = (size_t)(s->in_end - s->in);
    ssize_t n = 0;
    if (s->fd >= 0) {
        memmove(s->in_buf, s->in, have);
        s->in = s->in_buf;
        n = input_read(s, s->in_buf + have, INPUT - have);
        s->in_end = s->in + have + (n > 0 ? n : 0);
    }
    s->in_ended = n <= 0;
}

/* Decompresses into [to, to + room); returns how many bytes came out, 0 at the end. */
static size_t decompress(struct stream *s, uint8_t *to, size_t room) {
    struct decompress_io io = {.out = to, .out_end = to + room};
    const char *why = "";
    while (io.out == to) {
        if (s->in == s->in_end && !s->in_ended)
            input_fill(s);
        bool drained = s->in == s->in_end && s->in_ended;
        if ((drained && s->at == DECOMPRESS_WHOLE) || s->fault[0])
            break;
        io.in = s->in;
        io.in_end = s->in_end;
        io.last = s->in_ended;
        s->at = s->decompressor->run(s->state, &io, &why);
        s->in_offset += (uint64_t)(io.in - s->in);
        s->in = io.in;
        if (s->at == DECOMPRESS_BAD)
            snprintf(s->fault, sizeof s->fault, "%s data is damaged at byte %llu of the compressed file: %s",
                s->decompressor->name, (unsigned long long)s->in_offset, why);
        else if (drained && io.out == to && s->at == DECOMPRESS_MORE)
            snprintf(s->fault, sizeof s->fault, "%s data is cut at byte %llu of the compressed file",
                s->decompressor->name, (unsigned long long)s->in_offset);
    }
    return (size_t)(io.out - to);
}

/* Takes up the first bytes and decides how the rest is read. */
static int stream_start(struct stream *s) {
    while (s->in_end - s->in < MAGIC_LEN && !s->in_ended)
        input_fill(s);
    s->decompressor = decompressor_find(s->in, (size_t)(s->in_end - s->in));
    if (s->decompressor && !(s->state = s->decompressor->create()))
        return -ENOMEM;
    if (!s->decompressor && s->fd < 0) {
        s->start = s->in;
        s->end = s->in_end;
        s->ended = true;
        return 0;
    }
    s->cap = WINDOW;
    s->buf = xalloc(s->cap);
    s->start = s->end = s->buf;
    if (!s->decompressor) {
        memcpy(s->buf, s->in, (size_t)(s->in_end - s->in));
        s->end += s->in_end - s->in;
    }
    return 0;
}

struct stream *stream_open(const char *path, struct err *e) {
    int fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC) : dup(STDIN_FILENO);
    if (fd < 0) {
        err_set(e, -errno, "cannot be opened: %s", strerror(errno));
        return NULL;
    }
    struct stream *s = xzalloc(1, sizeof *s);
    s->fd = fd;
    s->in = s->in_end = s->in_buf = xalloc(INPUT);
    if (!stream_start(s))
        return s;
    stream_close(s);
    err_set(e, -ENOMEM, "out of memory for decompression");
    return NULL;
}

struct stream *stream_open_memory(const void *data, size_t len) {
    struct stream *s = xzalloc(1, sizeof *s);
    s->fd = -1;
    s->in = data ? data : (const void *)"";
    s->in_end = s->in + len;
    s->in_ended = true;
    if (!stream_start(s))
        return s;
    stream_close(s);
    return NULL;
}

void stream_close(struct stream *s) {
    if (!s)
        return;
    if (s->state)
        s->decompressor->destroy(s->state);
    if (s->fd >= 0)
        close(s->fd);
    vec_release(s->in_buf);
    vec_release(s->buf);
    vec_release(s);
}

/* Makes room behind the window's end: moves what is left to the front, doubles the buffer when that is not enough. */
static void window_make_room(struct stream *s) {
    size_t have = (size_t)(s->end - s->start);
    if (s->start != s->buf)
        memmove(s->buf, s->start, have);
    if (have == s->cap)
        s->buf = xrealloc(s->buf, s->cap *= 2, 1);
    s->start = s->buf;
    s->end = s->buf + have;
}

/* The buffer grows as bytes arrive, so a length that lies costs no more memory than the file has bytes. */
static const uint8_t *window_fill(struct stream *s, size_t len) {
    while ((size_t)(s->end - s->start) < len && !s->ended) {
        window_make_room(s);
        size_t have = (size_t)(s->end - s->start);
        ssize_t n = s->decompressor ? (ssize_t)decompress(s, s->buf + have, s->cap - have)
                                    : input_read(s, s->buf + have, s->cap - have);
        if (n > 0)
            s->end += n;
        else
            s->ended = true;
    }
    return (size_t)(s->end - s->start) < len ? NULL : s->start;
}

const uint8_t *stream_peek(struct stream *s, size_t len) {
    return (size_t)(s->end - s->start) >= len ? s->start : window_fill(s, len);
}

void stream_skip(struct stream *s, size_t len) {
    s->start += len;
    s->offset += len;
}

size_t stream_left(const struct stream *s) {
    return (size_t)(s->end - s->start);
}

uint64_t stream_offset(const struct stream *s) {
    return s->offset;
}

const char *stream_fault(const struct stream *s) {
    return s->fault[0] ? s->fault : NULL;
}
