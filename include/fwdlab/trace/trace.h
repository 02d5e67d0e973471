/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Captures in and out. pcap (both byte orders, micro- and nanoseconds) and pcapng by our own readers (libpcap hides
 * interfaces, comments and drop counts), plain or compressed (gz, zst, lz4, xz: told by magic), from a file or stdin
 * ("-"). Texts are valid UTF-8 without control characters but tab and newline, whatever the file holds.
 *
 * Damage ends a trace where nothing more can be read; what was read before stays valid, and trace_damage says what was
 * lost and where (byte offset). A file without one whole packet and with damage is an error.
 */
#ifndef FWDLAB_TRACE_TRACE_H
#define FWDLAB_TRACE_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <fwdlab/base/err.h>

enum trace_direction { TRACE_DIRECTION_UNKNOWN, TRACE_INBOUND, TRACE_OUTBOUND };
enum { LINKTYPE_NULL = 0, LINKTYPE_ETHERNET = 1, LINKTYPE_PPP = 9, LINKTYPE_PPP_HDLC = 50, LINKTYPE_RAW = 101,
       LINKTYPE_LOOP = 108, LINKTYPE_LINUX_SLL = 113, LINKTYPE_IPV4 = 228, LINKTYPE_IPV6 = 229,
       LINKTYPE_LINUX_SLL2 = 276 };

struct trace_interface {
    const char *name;        /* if_name, or "" */
    const char *description; /* if_description, or "" */
    uint16_t linktype;
    uint32_t snaplen;        /* 0: no limit */
    uint32_t section;        /* pcapng section it stands in, from 0 */
    uint64_t packets;        /* read from it so far */
    uint64_t dropped;        /* by the capturing system, as its statistics block says; UINT64_MAX unknown */
};

struct trace_packet {
    uint64_t time_ns;        /* since the Unix epoch; 0 when the block has no time */
    uint64_t frame;          /* from 1, as Wireshark counts (it numbers custom blocks and journal entries, too) */
    uint64_t offset;         /* of the record in the uncompressed file */
    uint32_t interface;      /* index into trace_interfaces */
    uint32_t file;           /* of several (many.h); else 0 */
    uint32_t len;            /* bytes present */
    uint32_t wire_len;
    uint8_t direction;       /* enum trace_direction */
    const uint8_t *data;     /* valid until the next read; for a preloaded trace until trace_close */
    const char *comment;     /* opt_comment or NULL; as long as data */
};

struct trace;

/* Opens for reading in order. Errors name the file and the offset; errno is EBADMSG when its content is at fault. */
struct trace *trace_open(const char *path, struct err *e);
/* 1: *out filled; 0: the end (see trace_damage); -errno: nothing can be read from it. */
int trace_read(struct trace *t, struct trace_packet *out, struct err *e);
/* Grows while reading: complete after trace_read returned 0. */
const struct trace_interface *trace_interfaces(const struct trace *t, uint32_t *n);
/* NULL: undamaged. Else what was wrong and at which byte offset, valid until trace_close. */
const char *trace_damage(const struct trace *t);
void trace_close(struct trace *t);
/*
 * Once *stop is set, what is still to come through stdin or another pipe is not waited for: such a capture ends there.
 * For all captures of the process; NULL, as at first: it is waited for.
 */
void trace_interruptible(const volatile bool *stop);

/* A whole trace in memory, in file order. */
struct trace_memory {
    struct trace_packet *packets;
    size_t n;
    const struct trace_interface *interfaces;
    uint32_t n_interfaces;
    const char *damage; /* as trace_damage */
    uint64_t bytes;     /* captured bytes of all packets */
    void *owner;
};
/* NULL on error. max_bytes limits the captured bytes (0: no limit); beyond it errno is EFBIG. */
struct trace_memory *trace_preload(const char *path, uint64_t max_bytes, struct err *e);
void trace_memory_destroy(struct trace_memory *m);

/* Readers over memory, for fuzzing: the same code as trace_open. */
struct trace *trace_open_memory(const char *name, const void *data, size_t len, struct err *e);

/* Writing pcapng: nanosecond times, comments and directions. The file appears whole when trace_writer_close says 0. */
struct trace_writer;
struct trace_writer *trace_writer_open(const char *path, struct err *e);
/* Returns the interface's index or -errno. */
int trace_writer_interface(struct trace_writer *w, const char *name, uint16_t linktype, uint32_t snaplen);
/* With the name, description, link type and snap length of another capture's. */
int trace_writer_interface_like(struct trace_writer *w, const struct trace_interface *like);
int trace_writer_packet(struct trace_writer *w, const struct trace_packet *p);
/* With a comment (NULL: none) after the packet's own. */
int trace_writer_commented(struct trace_writer *w, const struct trace_packet *p, const char *comment);
/* What the capturing system dropped, at the capture's end. */
int trace_writer_dropped(struct trace_writer *w, uint32_t interface, uint64_t dropped);
int trace_writer_close(struct trace_writer *w, struct err *e);
void trace_writer_abandon(struct trace_writer *w);

#endif
