/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * link-layers FILE [KEYS]: a line for each packet of a capture, for tests/golden/link.py to compare: frame, fault, the
 * layers ("vlan:24"), and each IP header from the outermost on ("192.0.2.1>192.0.2.2:6"), separated by tabs.
 */
#include <stdio.h>
#include <string.h>
#include <fwdlab/trace/link.h>

static const char *const faults[] = {"ip", "arp", "llc", "other", "short", "unknown"};

static void print_ip(const struct link_view *v) {
    uint8_t version = v->ip[0] >> 4;
    bool v6 = version == 6;
    if ((version != 4 && !v6) || v->len < (v6 ? 40 : 20))
        return;
    struct ip src = {.family = version}, dst = src;
    char text[2][IP_TEXT];
    memcpy(src.v6, v->ip + (v6 ? 8 : 12), v6 ? 16 : 4);
    memcpy(dst.v6, v->ip + (v6 ? 24 : 16), v6 ? 16 : 4);
    printf("\t%s>%s:%u", ip_format(&src, text[0]), ip_format(&dst, text[1]), v->ip[v6 ? 6 : 9]);
}

static void print_packet(const struct trace_packet *p, uint16_t linktype, const struct link_keys *keys) {
    static struct link_room room;
    struct link_view v[64];
    int n = 0;
    bool known = link_decode(linktype, p->data, p->len, p->wire_len, &v[0]);
    while (n + 1 < 64 && link_inner(&v[n], keys, &room, &v[n + 1]))
        n++;
    printf("%lu\t%s\t", p->frame, known ? faults[v[0].fault] : "linktype");
    for (int i = 0; i < v[n].n_layers; i++)
        printf("%s%s:%u", i ? "," : "", link_layer_name(v[n].layers[i].kind), v[n].layers[i].id);
    for (int i = 0; i <= n && v[0].fault == LINK_IP && v[0].len; i++)
        print_ip(&v[i]);
    putchar('\n');
}

int main(int argc, char **argv) {
    struct err e = {0};
    struct trace_packet p;
    struct link_keys *keys = argc > 2 ? link_keys_load(argv[2], &e) : NULL;
    struct trace *t = argc > 1 && (argc == 2 || keys) ? trace_open(argv[1], &e) : NULL;
    int r = t ? 1 : -1;
    uint32_t n;
    while (r > 0 && (r = trace_read(t, &p, &e)) > 0)
        print_packet(&p, trace_interfaces(t, &n)[p.interface].linktype, keys);
    if (r)
        fprintf(stderr, "%s: %s\n", e.where, e.what);
    trace_close(t);
    link_keys_free(keys);
    return r ? 2 : 0;
}
