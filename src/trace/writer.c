/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writes pcapng in this machine's byte order: one section, interfaces with nanosecond times, enhanced packet blocks
 * with direction and comment. All goes to a temporary file beside the path, which takes its name when it is whole.
 */
#include <errno.h>
#include <fwdlab/base/file.h>
#include "format.h"

#define TEXT_MAX 65535u /* an option's length has 16 bits */
#define PIECES_MAX 16

struct trace_writer {
    struct file_draft draft;
    uint32_t interfaces;
    uint64_t last_ns; /* the latest time of a packet */
};

/* A block's body, in pieces of which each is padded to 4 bytes; options get room for their heads. */
struct body {
    struct piece {
        const void *data;
        size_t len;
    } pieces[2 * PIECES_MAX];
    uint16_t heads[PIECES_MAX][2];
    unsigned n, options;
};

static size_t pad(size_t len) {
    return -len & 3;
}

static void add(struct body *b, const void *data, size_t len) {
    b->pieces[b->n++] = (struct piece){data, len};
}

static void add_option(struct body *b, uint16_t code, const void *data, size_t len) {
    uint16_t *head = b->heads[b->options++];
    head[0] = code;
    head[1] = (uint16_t)len;
    add(b, head, sizeof b->heads[0]);
    add(b, data, len);
}

/* A text of any length: what one option cannot hold goes on in the next. */
static void add_text(struct body *b, uint16_t code, const char *text) {
    for (size_t left = text ? strlen(text) : 0, n; left && b->options < PIECES_MAX - 2; left -= n, text += n) {
        for (n = left < TEXT_MAX ? left : TEXT_MAX; n < left && ((uint8_t)text[n] & 0xc0) == 0x80;)
            n--; /* not within a UTF-8 character */
        add_option(b, code, text, n);
    }
}

/* The body between type and length and the length again, its options ended. */
static int write_block(struct trace_writer *w, uint32_t type, struct body *b) {
    static const uint8_t zero[4];
    uint32_t head[2] = {type, 12};
    if (b->options)
        add(b, zero, sizeof zero); /* opt_endofopt */
    for (unsigned i = 0; i < b->n; i++)
        head[1] += (uint32_t)(b->pieces[i].len + pad(b->pieces[i].len));
    file_draft_write(&w->draft, head, sizeof head);
    for (unsigned i = 0; i < b->n; i++) {
        file_draft_write(&w->draft, b->pieces[i].data, b->pieces[i].len);
        file_draft_write(&w->draft, zero, pad(b->pieces[i].len));
    }
    return file_draft_write(&w->draft, &head[1], sizeof head[1]);
}

struct trace_writer *trace_writer_open(const char *path, struct err *e) {
    struct trace_writer *w = xzalloc(1, sizeof *w);
    if (file_draft_open(&w->draft, path, e)) {
        vec_release(w);
        return NULL;
    }
    struct { uint32_t order; uint16_t major, minor; int64_t section_len; } head = {0x1a2b3c4d, 1, 0, -1 /* not told */};
    struct body b = {0};
    add(&b, &head, sizeof head);
    write_block(w, 0x0a0d0d0a, &b);
    return w;
}

int trace_writer_interface_like(struct trace_writer *w, const struct trace_interface *like) {
    struct { uint16_t linktype, reserved; uint32_t snaplen; } head = {like->linktype, 0, like->snaplen};
    size_t name_len = strlen(like->name), description_len = strlen(like->description);
    if (name_len > TEXT_MAX || description_len > TEXT_MAX || w->interfaces >= INTERFACES_MAX)
        return -EINVAL;
    struct body b = {0};
    add(&b, &head, sizeof head);
    if (name_len)
        add_option(&b, 2, like->name, name_len);
    if (description_len)
        add_option(&b, 3, like->description, description_len);
    add_option(&b, 9, "\x09", 1); /* nanoseconds */
    int r = write_block(w, 1, &b);
    return r ? r : (int)w->interfaces++;
}

int trace_writer_interface(struct trace_writer *w, const char *name, uint16_t linktype, uint32_t snaplen) {
    return trace_writer_interface_like(w, &(struct trace_interface){
        .name = name, .description = "", .linktype = linktype, .snaplen = snaplen});
}

int trace_writer_commented(struct trace_writer *w, const struct trace_packet *p, const char *comment) {
    if (p->interface >= w->interfaces || p->len > PACKET_MAX)
        return -EINVAL;
    uint32_t head[5] = {p->interface, (uint32_t)(p->time_ns >> 32), (uint32_t)p->time_ns, p->len,
                        p->wire_len > p->len ? p->wire_len : p->len};
    uint32_t direction = p->direction;
    struct body b = {0};
    add(&b, head, sizeof head);
    add(&b, p->data, p->len);
    if (direction != TRACE_DIRECTION_UNKNOWN)
        add_option(&b, 2, &direction, sizeof direction);
    add_text(&b, 1, p->comment);
    add_text(&b, 1, comment);
    w->last_ns = p->time_ns > w->last_ns ? p->time_ns : w->last_ns;
    return write_block(w, 6, &b);
}

int trace_writer_packet(struct trace_writer *w, const struct trace_packet *p) {
    return trace_writer_commented(w, p, NULL);
}

int trace_writer_dropped(struct trace_writer *w, uint32_t interface, uint64_t dropped) {
    if (interface >= w->interfaces)
        return -EINVAL;
    uint32_t head[3] = {interface, (uint32_t)(w->last_ns >> 32), (uint32_t)w->last_ns};
    struct body b = {0};
    add(&b, head, sizeof head);
    add_option(&b, 5, &dropped, sizeof dropped); /* isb_ifdrop */
    return write_block(w, 5, &b);
}

int trace_writer_close(struct trace_writer *w, struct err *e) {
    int r = file_draft_close(&w->draft, e);
    vec_release(w);
    return r;
}

void trace_writer_abandon(struct trace_writer *w) {
    if (!w)
        return;
    file_draft_abandon(&w->draft);
    vec_release(w);
}
