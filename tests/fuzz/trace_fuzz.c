/* SPDX-License-Identifier: BSD-3-Clause */
/* Any bytes as a capture: reading ends, packets lie within what was given, whatever is amiss has an offset. */
#include <stdlib.h>
#include <string.h>
#include <fwdlab/trace/trace.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static volatile uint8_t sink; /* keeps the reads */

static void require(bool good) {
    if (!good)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    struct err e = {0};
    struct trace *t = trace_open_memory("fuzz", data, len, &e);
    struct trace_packet p;
    uint8_t sum = 0;
    uint64_t packets = 0, frame = 0, counted = 0;
    uint32_t n;
    int r = t ? 1 : -1;
    while (r > 0 && (r = trace_read(t, &p, &e)) > 0) {
        trace_interfaces(t, &n);
        require(p.frame > frame && p.interface < n && p.len <= p.wire_len && p.direction <= TRACE_OUTBOUND);
        frame = p.frame;
        packets++;
        for (uint32_t i = 0; i < p.len; i++)
            sum ^= p.data[i];
        if (p.comment)
            sum ^= (uint8_t)strlen(p.comment);
    }
    const char *message = r < 0 ? e.what : trace_damage(t);
    require(!message || strstr(message, "byte "));
    const struct trace_interface *interfaces = t ? trace_interfaces(t, &n) : NULL;
    for (uint32_t i = 0; interfaces && i < n; i++)
        counted += interfaces[i].packets;
    require(counted == packets);
    trace_close(t);
    sink = sum;
    return 0;
}
