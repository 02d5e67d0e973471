/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pcap: both byte orders, micro- and nanoseconds, and the "modified" format of early Linux systems with its longer
 * record header. There is no way to find the next record after a bad one, so damage ends the trace.
 */
#include "format.h"

#include <fwdlab/base/clock.h>

#define MAGIC_MICROSECONDS 0xa1b2c3d4
#define MAGIC_NANOSECONDS 0xa1b23c4d
#define MAGIC_MODIFIED 0xa1b2cd34
#define FILE_HEADER 24
#define RECORD_HEADER 16
#define RECORD_HEADER_MODIFIED 24 /* plus interface index, protocol and packet type, which nothing needs */

bool pcap_start(struct trace *t) {
    const uint8_t *h = stream_peek(t->stream, FILE_HEADER);
    if (!h)
        return trace_cut(t, FILE_HEADER, "pcap file header");
    uint32_t magic;
    memcpy(&magic, h, sizeof magic);
    t->swapped = magic != MAGIC_MICROSECONDS && magic != MAGIC_NANOSECONDS && magic != MAGIC_MODIFIED;
    magic = read_u32(t, h);
    uint16_t major = read_u16(t, h + 4), minor = read_u16(t, h + 6);
    if (major != 2)
        return trace_fault(t, 4, "the pcap version is %u.%u, only 2.x is known", major, minor);
    t->pcap = (struct pcap_format){
        .frac_ns = magic == MAGIC_NANOSECONDS ? 1 : 1000,
        .header_len = magic == MAGIC_MODIFIED ? RECORD_HEADER_MODIFIED : RECORD_HEADER,
        .minor = minor,
    };
    uint32_t linktype = read_u32(t, h + 20); /* the highest six bits may tell the length of a frame check sequence */
    if (linktype & 0x03ff0000)
        return trace_fault(t, 20, "the link type is 0x%08x, its reserved bits 0x03ff0000 must be 0", linktype);
    trace_add_interface(t, linktype & 0xffff, read_u32(t, h + 16), 0);
    stream_skip(t->stream, FILE_HEADER);
    return true;
}

/* The record at h, whose header is there: what its header says; `data` is where it would be. */
static inline void record(const struct trace *t, const uint8_t *h, struct trace_packet *out) {
    uint32_t len = read_u32(t, h + 8), wire_len = read_u32(t, h + 12);
    if (t->pcap.minor < 4 && (t->pcap.minor < 3 || len > wire_len)) { /* the lengths were then the other way round */
        uint32_t swap = len;
        len = wire_len;
        wire_len = swap;
    }
    *out = (struct trace_packet){
        .time_ns = read_u32(t, h) * SECOND_NS + (uint64_t)read_u32(t, h + 4) * t->pcap.frac_ns,
        .offset = stream_offset(t->stream),
        .len = len,
        .wire_len = wire_len > len ? wire_len : len,
        .data = h + t->pcap.header_len,
    };
}

bool pcap_next(struct trace *t, struct trace_packet *out) {
    uint32_t header_len = t->pcap.header_len;
    const uint8_t *h = stream_peek(t->stream, header_len);
    if (!h)
        return trace_cut(t, header_len, "pcap record header");
    record(t, h, out);
    if (out->len > PACKET_MAX)
        return trace_fault(t, out->offset, "the record claims %u captured bytes, more than %u", out->len, PACKET_MAX);
    h = stream_peek(t->stream, header_len + out->len);
    if (!h)
        return trace_cut(t, header_len + out->len, "pcap record");
    out->data = h + header_len;
    stream_skip(t->stream, header_len + out->len);
    return true;
}

unsigned pcap_more(struct trace *t, struct trace_packet *out, unsigned room) {
    const uint32_t header_len = t->pcap.header_len;
    unsigned n = 0;
    for (; n < room && stream_has(t->stream, header_len); n++) {
        record(t, t->stream->start, &out[n]);
        if (out[n].len > PACKET_MAX || !stream_has(t->stream, header_len + out[n].len))
            break;
        out[n].frame = t->frames + n + 1;
        stream_skip(t->stream, header_len + out[n].len);
    }
    return n;
}
