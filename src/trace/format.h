/* SPDX-License-Identifier: BSD-3-Clause */
/* What the format readers (pcap.c, pcapng.c) share with trace.c: an open trace, its interfaces, its damage. */
#ifndef TRACE_FORMAT_H
#define TRACE_FORMAT_H

#include <string.h>
#include <fwdlab/base/arena.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/trace/trace.h>
#include "stream.h"
#include "timescale.h"

#define PACKET_MAX (1u << 18)     /* bytes captured of one packet; larger lengths are garbage */
#define BLOCK_MAX (256u << 20)    /* bytes of a pcapng block */
#define INTERFACES_MAX (1u << 20)

struct pcap_format {
    uint32_t frac_ns;    /* nanoseconds a unit of the fraction: 1000 or 1 */
    uint32_t header_len; /* of a record */
    uint32_t minor;      /* of the format's version */
};

struct pcapng_format {
    uint32_t sections;        /* seen so far; the current one is sections - 1 */
    uint32_t first_interface; /* of the current section, in trace.interfaces */
    bool gap;                 /* blocks of this section were lost: which number a further interface has is unknown */
};

struct trace {
    char *name;
    struct stream *stream;
    /* false: nothing more can be read (what was wrong is in `damage`). */
    bool (*next)(struct trace *t, struct trace_packet *out);
    bool swapped; /* numbers are in the other byte order; pcapng: in this section */
    union {
        struct pcap_format pcap;
        struct pcapng_format pcapng;
    };
    VEC(struct trace_interface) interfaces;
    VEC(struct timescale) scales; /* of each interface */
    struct arena *names;
    char *comment; /* of the last packet; room for comment_cap bytes */
    size_t comment_cap;
    uint64_t frames;  /* as Wireshark counts: packets, and pcapng's records of other things */
    uint64_t packets; /* read */
    bool ended;
    uint64_t faults;
    uint64_t lost;    /* bytes */
    char fault[384];  /* the first one */
    char damage[480]; /* and how many more, and what was lost */
};

bool pcap_start(struct trace *t); /* false: the header is damaged */
bool pcap_next(struct trace *t, struct trace_packet *out);
/* Those that follow whole in the stream's window, at most `room`: how many. */
unsigned pcap_more(struct trace *t, struct trace_packet *out, unsigned room);
bool pcapng_next(struct trace *t, struct trace_packet *out);
/* As trace_read, and with the packet those of its interface, without comments, that follow it without more being read
 * from the file: how many, at most `room`. All are valid until the next read. */
int trace_read_run(struct trace *t, struct trace_packet *out, unsigned room, struct err *e);

/* Adds an interface; returns its index, or -1 when there are too many. */
int64_t trace_add_interface(struct trace *t, uint32_t linktype, uint32_t snaplen, uint32_t section);
/* Notes damage at a byte offset. The first is kept, more are counted. Returns false. */
bool trace_fault(struct trace *t, uint64_t offset, const char *what, ...) __attribute__((format(printf, 3, 4)));
/* Adds bytes that were skipped because of a fault. */
void trace_lost(struct trace *t, uint64_t bytes);
/* Fewer than `need` bytes of `what` are left: damage, unless none is left and the stream ended well. Returns false. */
bool trace_cut(struct trace *t, size_t need, const char *what);

static inline uint16_t read_u16(const struct trace *t, const uint8_t *p) {
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return t->swapped ? __builtin_bswap16(v) : v;
}

static inline uint32_t read_u32(const struct trace *t, const uint8_t *p) {
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return t->swapped ? __builtin_bswap32(v) : v;
}

static inline uint64_t read_u64(const struct trace *t, const uint8_t *p) {
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return t->swapped ? __builtin_bswap64(v) : v;
}

#endif
