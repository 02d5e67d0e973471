/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames built header by header, one at a time, and what link.h must find in them. Lengths of IP and UDP are filled in
 * when the frame is complete. Every frame that is expected is also tried cut at every length, from heap buffers of
 * their exact size, so that the address sanitizer sees every overread.
 */
#ifndef TEST_TRACE_FRAMES_H
#define TEST_TRACE_FRAMES_H

#include <fwdlab/trace/link.h>

#define FRAME_IPV4 "192.0.2.1>198.51.100.9:" /* what describes frame_ipv4, without its protocol */
#define FRAME_IPV6 "2001:db8::1>2001:db8::9:"

void frame_start(uint16_t linktype);
void frame_hex(const char *digits); /* blanks are fine */
void frame_ethernet(uint16_t type); /* MACs 02:00:00:00:00:01 and ...:02 */
void frame_ipv4(uint8_t proto);     /* 192.0.2.1 → 198.51.100.9 */
void frame_ipv6(uint8_t next);      /* 2001:db8::1 → 2001:db8::9 */
void frame_udp(uint16_t from, uint16_t to);
void frame_tcp(void);               /* 20 bytes: something to be carried */

/* The frame's bytes, with all lengths right; valid until the next frame starts. */
uint8_t *frame_bytes(uint32_t *len);
/* Bytes at its end, as they are. */
void frame_add(const void *data, uint32_t len);
/* Takes away what stands from `at` on, with all lengths right, and returns how many bytes went to `out`. */
uint32_t frame_take(uint32_t at, uint8_t *out);

#define FRAME_VIEWS 16
/* The frame's own view and those inside of it; returns how many. */
int frame_walk(uint16_t linktype, const uint8_t *data, uint32_t len, uint32_t wire_len, const struct link_keys *keys,
               struct link_room *room, struct link_view views[FRAME_VIEWS]);
/* All n views lie within the data or the room, whole. */
void frame_within(const struct link_view *views, int n, const uint8_t *data, uint32_t len,
                  const struct link_room *room);

/*
 * The fault, then the layers, then the IP headers from the outermost on: "ip vlan:5,gre:0 192.0.2.1>198.51.100.9:47
 * ...". Also that cut frames hold nothing that the whole one does not.
 */
#define frame_expect(text) frame_expect_keys(text, NULL, __FILE__, __LINE__)
void frame_expect_keys(const char *text, const struct link_keys *keys, const char *file, int line);
struct link_view frame_view(void); /* of the last one expected: the innermost */

#endif
