/* SPDX-License-Identifier: BSD-3-Clause */
/* Captures built by hand, byte for byte and in either byte order, and short ways to read them back. */
#ifndef TEST_TRACE_CAPTURE_H
#define TEST_TRACE_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <fwdlab/trace/trace.h>

struct capture {
    uint8_t v[1 << 17];
    size_t n;
    bool big;     /* write big-endian */
    size_t block; /* where the open block begins */
};

void put(struct capture *c, const void *data, size_t len);
void put_u8(struct capture *c, uint8_t v);
void put_u16(struct capture *c, uint16_t v);
void put_u32(struct capture *c, uint32_t v);
void put_u64(struct capture *c, uint64_t v);
/* Overwrites four bytes at `at`. */
void patch_u32(struct capture *c, size_t at, uint32_t v);

/* pcap */
void put_pcap(struct capture *c, uint32_t magic, uint32_t linktype);
void put_record(struct capture *c, uint32_t sec, uint32_t frac, uint32_t len, uint32_t wire_len, const void *data);

/* pcapng: block_begin, the body, block_end pads and fills in both lengths. */
void block_begin(struct capture *c, uint32_t type);
void block_end(struct capture *c);
void put_option(struct capture *c, uint16_t code, const void *data, uint16_t len); /* padded */
void put_section(struct capture *c);
void put_interface(struct capture *c, const char *name, uint16_t linktype, uint32_t snaplen);
/* An enhanced packet block, left open for options. */
void packet_begin(struct capture *c, uint32_t interface, uint64_t units, const void *data, uint32_t len,
                  uint32_t wire_len);
void put_packet(struct capture *c, uint32_t interface, uint64_t units, const void *data, uint32_t len);
/* A section with one Ethernet interface. */
void put_start(struct capture *c);

/* Opens it from a heap copy of its exact size, so that the address sanitizer sees every overread. */
struct trace *open_capture(const struct capture *c, struct err *e);
/* Reads all of it; returns the packets' count or -errno. *last: the last packet, its data and comment copied. */
int read_capture(const struct capture *c, struct trace_packet *last, char *damage, size_t room, struct err *e);

/* Reads to the end: `good` packets, then damage that holds `text` (NULL: none). */
void expect_damage(const struct capture *c, int good, const char *text);
/* Cannot be opened or read, and the error holds `text`. */
void expect_error(const struct capture *c, const char *text);

#endif
