/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TCP of one connection, segment by segment, in constant memory: its state, the handshake and its round trip,
 * retransmissions and segments out of order, by the definitions of Wireshark's TCP analysis (4.0), so that its users
 * find their own figures again. Segments are seen where the capture was taken, in the order of the capture.
 *
 * A segment's *end* is its number plus its payload, plus one for a SYN or FIN; a way's *next* is the highest end so
 * far, its *acknowledged* the number in the latest segment of the other way. Comparisons are modulo 2^32 (RFC 9293,
 * 3.4). A segment with payload, SYN or FIN is the first of these that holds:
 *   keep-alive       at most 1 byte from next - 1, no SYN, FIN or RST (a pure ACK can be one, too)
 *   spurious         has payload, which ends at or before acknowledged: all of it had arrived
 *   in order         begins at next or beyond, or at next - 1 with more than 1 byte (repeats the byte of a probe)
 *   fast             begins at acknowledged, after two or more duplicate ACKs of that (or after an acknowledgement by
 *                    its own way of what was not seen), under 20 ms after the latest segment of the other way
 *   out of order     ends elsewhere than at next, and comes sooner after the segment that set next than the initial
 *                    round trip (3 ms where that is not known)
 *   retransmission   the rest
 * Further, of any segment but a probe (1 byte from next into a window of 0):
 *   lost segment     begins beyond next, no RST: something before it was not captured
 *   zero window      announces 0, no SYN, FIN or RST
 *   duplicate ACK    no payload, SYN, FIN or RST; begins at next, and repeats acknowledgement and window (not 0) of the
 *                    segment before it in this way; but not as the answer to a keep-alive
 *
 * Left out: MPTCP's exception to duplicate ACKs, and that a SYN or FIN counts nothing where 10,000 segments stand
 * unacknowledged (captures of one way). Wireshark's list of unacknowledged segments decides nothing else of the above,
 * so none is kept.
 */
#ifndef ANALYZE_TCP_H
#define ANALYZE_TCP_H

#include <stdbool.h>
#include <stdint.h>

struct tcp_segment {
    uint64_t time_ns;
    uint32_t seq, ack;   /* host order */
    uint32_t len;        /* payload bytes, as the IP header says (a cut capture may hold fewer) */
    uint16_t window;     /* as it stands in the header: not scaled */
    uint8_t flags;       /* TCP_SYN, ... of <fwdlab/core/parse.h> */
};

enum tcp_event {
    TCP_RETRANSMISSION = 1 << 0,
    TCP_FAST_RETRANSMISSION = 1 << 1,     /* is a retransmission, too */
    TCP_SPURIOUS_RETRANSMISSION = 1 << 2, /* is a retransmission, too */
    TCP_OUT_OF_ORDER = 1 << 3,
    TCP_LOST_SEGMENT = 1 << 4,            /* the one before was not captured */
    TCP_KEEP_ALIVE = 1 << 5,
    TCP_DUPLICATE_ACK = 1 << 6,
    TCP_ZERO_WINDOW = 1 << 7,
    TCP_HANDSHAKE = 1 << 8,               /* completes SYN, SYN+ACK, ACK, all of them captured: rtt_ns is known */
};

/* Closing: one side sent its FIN; closed: both did; aborted: a RST came before that. */
enum tcp_state { TCP_NONE, TCP_SYN_SENT, TCP_SYN_RECEIVED, TCP_ESTABLISHED, TCP_CLOSING, TCP_CLOSED, TCP_ABORTED };
const char *tcp_state_name(enum tcp_state s); /* "established", ... */

/* All zero before the first segment. */
struct tcp_flow {
    /* The fields of a way are tcp.c's own. Numbers are 0 as long as nothing is known. */
    struct tcp_way {
        uint32_t base;        /* number of the SYN; without it one less than the first number seen or acknowledged */
        uint32_t next;        /* highest end of a segment */
        uint32_t contiguous;  /* end of what was seen without a gap */
        uint32_t last_ack;    /* of the latest segment, as are window, last_ns and what `seen` says of it */
        uint64_t next_ns;     /* when next was set */
        uint64_t last_ns;
        uint32_t duplicates;  /* duplicate ACKs in a row */
        uint16_t window;
        uint8_t seen;
    } way[2];
    uint64_t syn_ns;          /* of the latest SYN */
    uint64_t rtt_ns;          /* initial round trip: latest SYN to the first ACK without SYN since; 0: not seen */
    uint32_t retransmissions, out_of_order, resets;
    uint8_t state;            /* enum tcp_state */
    bool acked[2];            /* this side acknowledged something that the other one must have sent */
    bool settled;             /* tcp.c's own: both ways seen, the handshake is over */
};

/*
 * Reads a segment from its header. present: bytes captured of the IP payload; total: bytes that it has by the IP header
 * (of a total length of 0, as segmentation offload leaves it: by the wire's length). False: cut within the first 16
 * bytes, or a header longer than the packet or shorter than it can be (RFC 9293, 3.1). Fragments are not for here:
 * their length is not the segment's.
 */
bool tcp_segment_read(const uint8_t *header, uint32_t present, uint32_t total, uint64_t time_ns,
                      struct tcp_segment *out);
/*
 * Is this the first segment of a new connection, with the ports of an older one? A SYN (no SYN+ACK) with another number
 * than this way began with is; with the same one it is sent again, even after a FIN or RST. Then a new, zeroed tcp_flow
 * takes the old one's place.
 */
bool tcp_begins_anew(const struct tcp_flow *f, unsigned way, const struct tcp_segment *s);
/* Notes a segment; returns what it was (enum tcp_event). way: 0 or 1, two names that the caller gives the two sides. */
unsigned tcp_note(struct tcp_flow *f, unsigned way, const struct tcp_segment *s);

#endif
