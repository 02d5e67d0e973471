/* SPDX-License-Identifier: BSD-3-Clause */
/* See filter.h. */
#include "filter.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <fwdlab/base/vec.h>

#define MAGIC_MICROSECONDS 0xa1b2c3d4
#define SNAPLEN 262144

struct program {
    uint16_t linktype;
    struct bpf_program code[2]; /* files in this machine's byte order, and swapped */
};

struct filter {
    char *text;
    VEC(struct program) programs;
};

struct filter *trace_filter_create(const char *text) {
    struct filter *f = xzalloc(1, sizeof *f);
    f->text = xstrdup(text);
    return f;
}

void trace_filter_destroy(struct filter *f) {
    if (!f)
        return;
    for (size_t i = 0; i < 2 * f->programs.n; i++)
        pcap_freecode(&f->programs.v[i / 2].code[i % 2]);
    vec_free(&f->programs);
    vec_release(f->text);
    vec_release(f);
}

static const struct program *find(const struct filter *f, uint16_t linktype) {
    for (size_t i = 0; i < f->programs.n; i++)
        if (f->programs.v[i].linktype == linktype)
            return &f->programs.v[i];
    return NULL;
}

/*
 * Compiled as for a file of this kind, not for a `dead' handle: libpcap knows only of a file whose numbers a link type
 * has, and that its byte order and address families may be another system's.
 */
static int compile(const struct filter *f, uint16_t linktype, bool swapped, struct bpf_program *code, struct err *e) {
    struct pcap_file_header header = {.magic = MAGIC_MICROSECONDS, .version_major = 2, .version_minor = 4,
                                      .snaplen = SNAPLEN, .linktype = linktype};
    if (swapped)
        header = (struct pcap_file_header){
            .magic = __builtin_bswap32(header.magic), .version_major = __builtin_bswap16(header.version_major),
            .version_minor = __builtin_bswap16(header.version_minor), .snaplen = __builtin_bswap32(header.snaplen),
            .linktype = __builtin_bswap32(header.linktype)};
    char why[PCAP_ERRBUF_SIZE] = "out of memory";
    FILE *file = fmemopen(&header, sizeof header, "r");
    pcap_t *p = file ? pcap_fopen_offline(file, why) : NULL;
    if (p && !pcap_compile(p, code, f->text, 1, PCAP_NETMASK_UNKNOWN)) {
        pcap_close(p);
        return 0;
    }
    err_set(e, -EINVAL, "the filter '%s' cannot be used on link type %u: %s", f->text, linktype,
        p ? pcap_geterr(p) : why);
    err_hint(e, "see pcap-filter(7)");
    if (p)
        pcap_close(p);
    else if (file)
        fclose(file);
    return -EINVAL;
}

int filter_prepare(struct filter *f, uint16_t linktype, struct err *e) {
    struct program p = {.linktype = linktype};
    if (find(f, linktype))
        return 0;
    int r = compile(f, linktype, false, &p.code[0], e);
    if (!r && (r = compile(f, linktype, true, &p.code[1], e)))
        pcap_freecode(&p.code[0]);
    if (!r)
        vec_push(&f->programs, p);
    return r;
}

bool filter_pass(const struct filter *f, uint16_t linktype, bool swapped, const struct trace_packet *p) {
    struct pcap_pkthdr h = {.caplen = p->len, .len = p->wire_len};
    return pcap_offline_filter(&find(f, linktype)->code[swapped], &h, p->data);
}
