/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pcapng (draft-ietf-opsawg-pcapng): several sections, each in its own byte order; packets of all three kinds, their
 * interfaces and statistics; other blocks are skipped. A block whose content is bad is skipped and noted. Where its
 * lengths cannot be right either, reading goes on where two whole blocks follow each other, or one ends the file; where
 * interfaces may have been missed, at the next section header.
 */
#include "format.h"
#include "options.h"

#define BYTE_ORDER_MAGIC 0x1a2b3c4d
#define BLOCK_MIN 12 /* type, length, length again */
#define COMMENTS_MAX (1u << 16)
#define RESYNC_MAX (1u << 20) /* bytes of a block that is looked for behind damage */
#define PACKET_FIXED 20 /* of enhanced and obsolete packet blocks: interface, time, both lengths */

enum block_type {
    BLOCK_INTERFACE = 1, BLOCK_PACKET = 2, BLOCK_SIMPLE_PACKET = 3, BLOCK_NAMES = 4, BLOCK_STATISTICS = 5,
    BLOCK_ENHANCED_PACKET = 6, BLOCK_JOURNAL = 9, BLOCK_SECRETS = 10, BLOCK_SYSDIG = 0x204,
    BLOCK_CUSTOM = 0xbad, BLOCK_CUSTOM_LOCAL = 0x40000bad,
    BLOCK_SECTION = 0x0a0d0d0a
};

struct block {
    uint32_t type;
    const uint8_t *body; /* between the two lengths */
    uint32_t len;        /* of the body */
    uint64_t offset;     /* of the block */
};

/* FOUND_BAD: the block is lost; FOUND_UNKNOWN: and what this section's interfaces are, is not known any more. */
enum found { FOUND_PACKET, FOUND_OTHER, FOUND_BAD, FOUND_UNKNOWN };

static bool section_order(struct trace *t, const uint8_t *magic, uint64_t offset) {
    t->swapped = false;
    uint32_t order = read_u32(t, magic);
    t->swapped = order == __builtin_bswap32(BYTE_ORDER_MAGIC);
    if (t->swapped || order == BYTE_ORDER_MAGIC)
        return true;
    return trace_fault(t, offset, "the section header's byte-order magic is 0x%08x, not 0x1a2b3c4d", order);
}

/* Is the block's body at least `need` bytes? */
static bool long_enough(struct trace *t, const struct block *b, const char *what, uint32_t need) {
    if (b->len >= need)
        return true;
    return trace_fault(t, b->offset, "the %s block holds %u bytes, at least %u are needed", what, b->len, need);
}

static enum found read_section(struct trace *t, const struct block *b) {
    if (!long_enough(t, b, "section header", 16))
        return FOUND_UNKNOWN;
    uint16_t major = read_u16(t, b->body + 4), minor = read_u16(t, b->body + 6);
    if (major != 1 || (minor != 0 && minor != 2)) {
        trace_fault(t, b->offset, "the pcapng version is %u.%u, only 1.0 and 1.2 are known", major, minor);
        return FOUND_UNKNOWN;
    }
    t->pcapng.sections++;
    t->pcapng.first_interface = (uint32_t)t->interfaces.n;
    t->pcapng.gap = false;
    return FOUND_OTHER;
}

static const char *text_keep(struct trace *t, const struct option *o) {
    char *text = arena_alloc(t->names, o->len + 1u);
    text_copy(text, o->data, o->len);
    return text;
}

static bool interface_option(struct trace *t, int64_t i, const struct option *o) {
    switch (o->code) {
    case 2: /* if_name */
        t->interfaces.v[i].name = text_keep(t, o);
        break;
    case 3: /* if_description */
        t->interfaces.v[i].description = text_keep(t, o);
        break;
    case 9: /* if_tsresol */
        if (o->len < 1)
            return false;
        timescale_set(&t->scales.v[i], o->data[0]);
        break;
    case 14: /* if_tsoffset */
        if (o->len < 8)
            return false;
        t->scales.v[i].offset_s = (int64_t)read_u64(t, o->data);
        break;
    }
    return true;
}

/* Without its description an interface's packets cannot be told from the next one's. */
static enum found read_interface(struct trace *t, const struct block *b) {
    if (!long_enough(t, b, "interface", 8))
        return FOUND_UNKNOWN;
    if (t->pcapng.gap) {
        trace_fault(t, b->offset, "blocks before this interface are lost, so that its number is not known");
        return FOUND_UNKNOWN;
    }
    int64_t i = trace_add_interface(t, read_u16(t, b->body), read_u32(t, b->body + 4), t->pcapng.sections - 1);
    if (i < 0) {
        trace_fault(t, b->offset, "there are more than %u interfaces", INTERFACES_MAX);
        return FOUND_UNKNOWN;
    }
    struct options o = {b->body + 8, b->body + b->len};
    struct option option;
    int r;
    while ((r = options_next(t, &o, &option)) > 0)
        if (!interface_option(t, i, &option))
            trace_fault(t, b->offset, "the interface's option %u has only %u bytes", option.code, option.len);
    if (r < 0)
        trace_fault(t, b->offset, "the options run beyond the interface block; the times of its packets may be wrong");
    return FOUND_OTHER;
}

/* An interface id of this section → index into t->interfaces, or -1. */
static int64_t interface_index(struct trace *t, const struct block *b, uint32_t id) {
    size_t n = t->interfaces.n - t->pcapng.first_interface;
    if (id < n)
        return (int64_t)t->pcapng.first_interface + id;
    trace_fault(t, b->offset, "the block names interface %u, its section has %zu", id, n);
    return -1;
}

/* The statistics count from the start of the capture: the last block holds. */
static enum found read_statistics(struct trace *t, const struct block *b) {
    if (!long_enough(t, b, "statistics", 12))
        return FOUND_BAD;
    int64_t i = interface_index(t, b, read_u32(t, b->body));
    if (i < 0)
        return FOUND_BAD;
    struct options o = {b->body + 12, b->body + b->len};
    struct option option;
    uint64_t dropped = 0;
    bool known = false;
    int r;
    while ((r = options_next(t, &o, &option)) > 0)
        if ((option.code == 5 || option.code == 7) && option.len == 8) { /* isb_ifdrop, isb_osdrop */
            dropped += read_u64(t, option.data);
            known = true;
        }
    if (r < 0)
        trace_fault(t, b->offset, "the options run beyond the statistics block");
    else if (known)
        t->interfaces.v[i].dropped = dropped;
    return FOUND_OTHER;
}

/* Several comments are joined by newlines, up to a bound. Returns the length with this one. */
static size_t add_comment(struct trace *t, size_t have, const struct option *o) {
    if (have > COMMENTS_MAX)
        return have;
    size_t need = have + 1 + o->len + 1;
    if (need > t->comment_cap)
        t->comment = xrealloc(t->comment, t->comment_cap = 2 * need, 1);
    if (have)
        t->comment[have++] = '\n';
    return have + text_copy(t->comment + have, o->data, o->len);
}

static void packet_options(struct trace *t, const struct block *b, const uint8_t *from, struct trace_packet *out) {
    struct options o = {from, b->body + b->len};
    struct option option;
    size_t comment = 0;
    int r;
    while ((r = options_next(t, &o, &option)) > 0) {
        if (option.code == 1 && option.len) { /* opt_comment */
            comment = add_comment(t, comment, &option);
        } else if (option.code == 2 && option.len == 4) { /* epb_flags: the lowest two bits are the direction */
            uint32_t direction = read_u32(t, option.data) & 3;
            out->direction = direction == 1 ? TRACE_INBOUND : direction == 2 ? TRACE_OUTBOUND : TRACE_DIRECTION_UNKNOWN;
        }
    }
    out->comment = comment ? t->comment : NULL;
    if (r < 0)
        trace_fault(t, b->offset, "the options run beyond the packet block; the packet itself is read");
}

/* `room`: bytes of the block from the packet's data on. Returns false when the packet does not fit. */
static bool packet_fits(struct trace *t, const struct block *b, uint32_t len, uint32_t room) {
    if (len > PACKET_MAX)
        return trace_fault(t, b->offset, "the packet block claims %u captured bytes, more than %u", len, PACKET_MAX);
    if (len > room)
        return trace_fault(t, b->offset, "the packet block claims %u captured bytes and has room for %u", len, room);
    return true;
}

static enum found read_packet(struct trace *t, const struct block *b, struct trace_packet *out) {
    if (!long_enough(t, b, "packet", PACKET_FIXED))
        return FOUND_BAD;
    bool obsolete = b->type == BLOCK_PACKET; /* a drop count in the upper half of the interface id */
    int64_t i = interface_index(t, b, obsolete ? read_u16(t, b->body) : read_u32(t, b->body));
    uint32_t len = read_u32(t, b->body + 12), wire_len = read_u32(t, b->body + 16), room = b->len - PACKET_FIXED;
    if (i < 0 || !packet_fits(t, b, len, room))
        return FOUND_BAD;
    uint64_t units = (uint64_t)read_u32(t, b->body + 4) << 32 | read_u32(t, b->body + 8);
    *out = (struct trace_packet){
        .time_ns = timescale_ns(&t->scales.v[i], units), .offset = b->offset, .interface = (uint32_t)i, .len = len,
        .wire_len = wire_len > len ? wire_len : len, .data = b->body + PACKET_FIXED};
    uint32_t padded = (len + 3) & ~3u; /* fits: the body's length is a multiple of 4 */
    if (padded < room)
        packet_options(t, b, out->data + padded, out);
    return FOUND_PACKET;
}

/* No time, no options, always the section's first interface, whose snap length says how much was captured. */
static enum found read_simple_packet(struct trace *t, const struct block *b, struct trace_packet *out) {
    if (!long_enough(t, b, "simple packet", 4))
        return FOUND_BAD;
    int64_t i = interface_index(t, b, 0);
    if (i < 0)
        return FOUND_BAD;
    uint32_t wire_len = read_u32(t, b->body), snaplen = t->interfaces.v[i].snaplen;
    uint32_t len = snaplen && snaplen < wire_len ? snaplen : wire_len;
    if (!packet_fits(t, b, len, b->len - 4))
        return FOUND_BAD;
    *out = (struct trace_packet){
        .offset = b->offset, .interface = (uint32_t)i, .len = len, .wire_len = wire_len, .data = b->body + 4};
    return FOUND_PACKET;
}

static enum found read_block(struct trace *t, const struct block *b, struct trace_packet *out) {
    switch (b->type) {
    case BLOCK_SECTION: return read_section(t, b);
    case BLOCK_INTERFACE: return read_interface(t, b);
    case BLOCK_PACKET:
    case BLOCK_ENHANCED_PACKET: return read_packet(t, b, out);
    case BLOCK_SIMPLE_PACKET: return read_simple_packet(t, b, out);
    case BLOCK_STATISTICS: return read_statistics(t, b);
    case BLOCK_JOURNAL:
    case BLOCK_SYSDIG:
    case BLOCK_CUSTOM:
    case BLOCK_CUSTOM_LOCAL: /* no packets, but Wireshark gives each a frame number */
        t->frames++;
        return FOUND_OTHER;
    default: return FOUND_OTHER;
    }
}

/* Could a block of `len` bytes be? */
static bool length_sane(uint32_t len, uint32_t max) {
    return len >= BLOCK_MIN && len % 4 == 0 && len <= max;
}

/* Takes the next whole block off the stream. False: none; the stream stands where it would have begun. */
static bool next_block(struct trace *t, struct block *b) {
    b->offset = stream_offset(t->stream);
    const uint8_t *p = stream_peek(t->stream, BLOCK_MIN);
    if (!p)
        return trace_cut(t, BLOCK_MIN, "pcapng block header");
    b->type = read_u32(t, p); /* a section's type is the same in both byte orders */
    if (b->type == BLOCK_SECTION && !section_order(t, p + 8, b->offset))
        return false;
    uint32_t len = read_u32(t, p + 4);
    if (!length_sane(len, BLOCK_MAX))
        return trace_fault(t, b->offset, "the block's length %u is not a multiple of 4 from %u to %u", len, BLOCK_MIN,
            BLOCK_MAX);
    p = stream_peek(t->stream, len);
    if (!p)
        return trace_cut(t, len, "pcapng block");
    uint32_t trailer = read_u32(t, p + len - 4);
    if (trailer != len)
        return trace_fault(t, b->offset, "the block's length is %u at its start and %u at its end", len, trailer);
    b->body = p + 8;
    b->len = len - BLOCK_MIN;
    stream_skip(t->stream, len);
    return true;
}

static bool type_known(uint32_t type) {
    switch (type) {
    case BLOCK_INTERFACE: case BLOCK_PACKET: case BLOCK_SIMPLE_PACKET: case BLOCK_NAMES: case BLOCK_STATISTICS:
    case BLOCK_ENHANCED_PACKET: case BLOCK_JOURNAL: case BLOCK_SECRETS: case BLOCK_SYSDIG: case BLOCK_CUSTOM:
    case BLOCK_CUSTOM_LOCAL: case BLOCK_SECTION: return true;
    default: return false;
    }
}

/* The length of a whole block of a known type that stands `at` bytes on; 0: none does. */
static uint32_t block_at(struct trace *t, uint32_t at, bool section) {
    const uint8_t *p = stream_peek(t->stream, at + BLOCK_MIN);
    uint32_t type = p ? read_u32(t, p + at) : 0;
    if (section ? type != BLOCK_SECTION : !type_known(type))
        return 0;
    bool swapped = t->swapped; /* a section brings its own order */
    uint32_t order, len = 0;
    memcpy(&order, p + at + 8, sizeof order);
    if (type == BLOCK_SECTION)
        t->swapped = order == __builtin_bswap32(BYTE_ORDER_MAGIC);
    if (type != BLOCK_SECTION || t->swapped || order == BYTE_ORDER_MAGIC)
        len = read_u32(t, p + at + 4);
    p = length_sane(len, RESYNC_MAX) ? stream_peek(t->stream, at + len) : NULL;
    if (!p || read_u32(t, p + at + len - 4) != len)
        len = 0;
    t->swapped = swapped;
    return len;
}

/* Do blocks begin here? One alone may be part of a packet's data: another one or the file's end must follow. */
static bool blocks_begin(struct trace *t, bool section) {
    if (block_at(t, 0, true))
        return true;
    uint32_t len = section ? 0 : block_at(t, 0, false);
    return len && (block_at(t, len, false) || !stream_peek(t->stream, len + 1));
}

/* Skips `least` bytes and more, to where blocks begin again; `section`: a section. False: nowhere. */
static bool resync(struct trace *t, uint32_t least, bool section) {
    uint64_t from = stream_offset(t->stream);
    bool found = false;
    for (uint32_t step = least; !found && stream_peek(t->stream, step + BLOCK_MIN); step = 4) {
        stream_skip(t->stream, step);
        found = blocks_begin(t, section);
    }
    if (!found)
        stream_skip(t->stream, stream_left(t->stream));
    t->pcapng.gap = true;
    trace_lost(t, stream_offset(t->stream) - from);
    return found;
}

/* What the stream holds is no block: is it but cut short, so that nothing is to be found behind it? */
static bool cut_short(struct trace *t) {
    const uint8_t *p = stream_peek(t->stream, BLOCK_MIN);
    uint32_t len = p ? read_u32(t, p + 4) : BLOCK_MIN;
    return length_sane(len, RESYNC_MAX) && !stream_peek(t->stream, len);
}

bool pcapng_next(struct trace *t, struct trace_packet *out) {
    struct block b = {0};
    for (;;) {
        if (!next_block(t, &b)) {
            if (cut_short(t) || !resync(t, 4, b.type == BLOCK_SECTION || b.type == BLOCK_INTERFACE))
                return false;
            continue;
        }
        enum found found = read_block(t, &b, out);
        if (found == FOUND_PACKET)
            return true;
        if (found != FOUND_OTHER)
            trace_lost(t, b.len + BLOCK_MIN);
        if (found == FOUND_UNKNOWN && !resync(t, 0, true))
            return false;
    }
}
