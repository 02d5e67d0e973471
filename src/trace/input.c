/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * See input.h. Files are read, not mapped: a block that stays in the cache of second level is copied in half the time
 * that a mapping's page faults and cache misses take (bench/reading), a file that shrinks meanwhile ends early instead
 * of killing the process (SIGBUS), and resident memory is what the blocks take.
 */
#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/trace/trace.h>
#include "ahead.h"
#include "decompress.h"

#define INPUT (1u << 18)
#define ALONE (4u << 20) /* decompressed bytes after which a thread of its own pays */
#define LOOK_MS 100      /* how often somebody who waits for bytes looks whether they are still wanted */

struct input {
    int fd;                     /* -1: all that is left of it lies in `in` */
    uint64_t size;
    uint8_t *buf;               /* what `in` points into; NULL for memory */
    const uint8_t *in, *in_end; /* bytes read from the file and not yet taken */
    uint64_t offset;            /* of `in` in the file */
    bool ended;
    const struct decompressor *decompressor; /* NULL: plain */
    void *state;
    enum decompress_state at;
    uint64_t produced;          /* decompressed bytes */
    struct ahead *ahead;        /* NULL: decompressed by the caller */
    char fault[256];
};

static const volatile bool *unwanted; /* trace_interruptible */

void trace_interruptible(const volatile bool *stop) {
    unwanted = stop;
}

/* Waits until there are bytes; false: they are not wanted any more. */
static bool wait_for(int fd) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (!*unwanted)
        if (poll(&p, 1, LOOK_MS) > 0)
            return true;
    return false;
}

static size_t file_read(struct input *in, void *to, size_t room) {
    ssize_t n;
    if (in->fd < 0)
        return 0;
    do
        n = in->size || !unwanted || wait_for(in->fd) ? read(in->fd, to, room) : 0;
    while (n < 0 && errno == EINTR);
    if (n < 0)
        snprintf(in->fault, sizeof in->fault, "reading failed: %s", strerror(errno));
    if (n > 0)
        return (size_t)n;
    close(in->fd); /* packets may wait for long behind the end of their file */
    in->fd = -1;
    return 0;
}

/* Reads more behind what is there; marks the end of it. */
static void input_fill(struct input *in) {
    size_t have = (size_t)(in->in_end - in->in), n = 0;
    if (in->fd >= 0) {
        memmove(in->buf, in->in, have);
        in->in = in->buf;
        n = file_read(in, in->buf + have, INPUT - have);
        in->in_end = in->in + have + n;
    }
    in->ended = !n;
}

/* Decompresses into [to, to + room); returns how many bytes came out, 0 at the end. */
static size_t decompress(void *input, uint8_t *to, size_t room, uint64_t *position) {
    struct input *in = input;
    struct decompress_io io = {.out = to, .out_end = to + room};
    const char *why = "";
    while (io.out == to) {
        if (in->in == in->in_end && !in->ended)
            input_fill(in);
        bool drained = in->in == in->in_end && in->ended;
        if ((drained && in->at == DECOMPRESS_WHOLE) || in->fault[0])
            break;
        io.in = in->in;
        io.in_end = in->in_end;
        io.last = in->ended;
        in->at = in->decompressor->run(in->state, &io, &why);
        in->offset += (uint64_t)(io.in - in->in);
        in->in = io.in;
        if (in->at == DECOMPRESS_BAD)
            snprintf(in->fault, sizeof in->fault, "%s data is damaged at byte %llu of the compressed file: %s",
                in->decompressor->name, (unsigned long long)in->offset, why);
        else if (drained && io.out == to && in->at == DECOMPRESS_MORE)
            snprintf(in->fault, sizeof in->fault, "%s data is cut at byte %llu of the compressed file",
                in->decompressor->name, (unsigned long long)in->offset);
    }
    *position = in->offset;
    return (size_t)(io.out - to);
}

static size_t read_compressed(struct input *in, uint8_t *to, size_t room) {
    uint64_t position;
    if (!in->ahead && in->fd >= 0 && in->produced >= ALONE)
        in->ahead = ahead_create(decompress, in);
    size_t n = in->ahead ? ahead_read(in->ahead, to, room) : decompress(in, to, room, &position);
    in->produced += n;
    return n;
}

size_t input_read(struct input *in, uint8_t *to, size_t room) {
    if (in->decompressor)
        return read_compressed(in, to, room);
    size_t n = (size_t)(in->in_end - in->in);
    if (n) { /* what was read to see the magic */
        n = n < room ? n : room;
        memcpy(to, in->in, n);
        in->in += n;
    } else {
        n = file_read(in, to, room);
    }
    in->offset += n;
    return n;
}

/* Takes up the first bytes and decides how the rest is read. */
static int input_start(struct input *in) {
    while (in->in_end - in->in < MAGIC_LEN && !in->ended)
        input_fill(in);
    in->decompressor = decompressor_find(in->in, (size_t)(in->in_end - in->in));
    return in->decompressor && !(in->state = in->decompressor->create()) ? -ENOMEM : 0;
}

struct input *input_open(const char *path, struct err *e) {
    int fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC) : dup(STDIN_FILENO);
    if (fd < 0) {
        int code = errno;
        err_set(e, -code, "cannot be opened: %s", strerror(code));
        errno = code;
        return NULL;
    }
    struct input *in = xzalloc(1, sizeof *in);
    struct stat st;
    in->fd = fd;
    in->size = !fstat(fd, &st) && S_ISREG(st.st_mode) && strcmp(path, "-") ? (uint64_t)st.st_size : 0;
    posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    in->in = in->in_end = in->buf = xalloc(INPUT);
    if (!input_start(in))
        return in;
    input_close(in);
    err_set(e, -ENOMEM, "out of memory for decompression");
    return NULL;
}

struct input *input_open_memory(const void *data, size_t len) {
    struct input *in = xzalloc(1, sizeof *in);
    in->fd = -1;
    in->in = data;
    in->in_end = in->in + len;
    in->ended = true;
    if (!input_start(in))
        return in;
    input_close(in);
    return NULL;
}

void input_close(struct input *in) {
    if (!in)
        return;
    ahead_destroy(in->ahead);
    if (in->state)
        in->decompressor->destroy(in->state);
    if (in->fd >= 0)
        close(in->fd);
    vec_release(in->buf);
    vec_release(in);
}

const char *input_fault(const struct input *in) {
    return in->fault[0] ? in->fault : NULL;
}

uint64_t input_position(const struct input *in) {
    return in->ahead ? ahead_position(in->ahead) : in->offset;
}

uint64_t input_size(const struct input *in) {
    return in->size;
}
