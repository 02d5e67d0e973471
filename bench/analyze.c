/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How fast captures are analysed: packets a second of `fwdlab analyze`, with a scenario and without, against a bare
 * loop (bare.h), alone and with the core, and against other programs when they are installed. Each is a process of its
 * own on one CPU, in turn; its time is what it used of the CPU. Then two workers against one, by the
 * time that passed, with a control of what the machine gave (cores.h). The file is made: the packets of a capture,
 * repeated with their times moved on and their addresses shifted, so that each lap brings new flows.
 */
#include "bare.h"
#include "cores.h"
#include "points.h"
#include <errno.h>
#include <fcntl.h>
#include <fwdlab/base/clock.h>
#include <fwdlab/core/checksum.h>
#include <fwdlab/core/parse.h>
#include <fwdlab/trace/link.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS_MAX 40
#define RECORD_HEADER 16

static char dir[256], pcap[300], out[300];
static char fwdlab[512];
static const char *scenario = "bench/mirror.yaml";
static uint64_t packets;

static _Noreturn void fail(const char *what, const struct err *e) {
    fprintf(stderr, "analyze: %s: %s %s\n", what, e ? e->where : "", e ? e->what : strerror(errno));
    exit(2);
}

/* ---- the file ---- */

/* Adds to one octet of the two addresses, `size` bytes each; the sum that covers them follows (NULL: none). */
static void shift(uint8_t *addrs, unsigned size, unsigned octet, unsigned lap, uint8_t *sum) {
    for (unsigned i = 0; i < 2; i++) {
        uint8_t *at = addrs + i * size + (octet & ~1u);
        be16 from, to, old;
        memcpy(&from, at, 2);
        addrs[i * size + octet] += (uint8_t)lap;
        memcpy(&to, at, 2);
        if (!sum)
            continue;
        memcpy(&old, sum, 2);
        old = checksum_update16(old, from, to);
        memcpy(sum, &old, 2);
    }
}

/* Where the L4 checksum stands, that covers the addresses; 0: nowhere. */
static unsigned sum_at(uint8_t proto, const uint8_t *l4, const uint8_t *end) {
    const unsigned at = proto == PROTO_TCP ? 16 : proto == PROTO_UDP ? 6 : proto == PROTO_ICMPV6 ? 2 : 0;
    return at && end - l4 >= (int)at + 2 && (proto != PROTO_UDP || l4[6] | l4[7]) ? at : 0;
}

static void shift_ipv4(uint8_t *ip, const uint8_t *end, unsigned lap) {
    const unsigned ihl = (ip[0] & 15u) * 4;
    if (end - ip < (int)sizeof(struct ipv4_header) || ip[0] >> 4 != 4 || end - ip < (int)ihl)
        return;
    const bool later = (ip[6] << 8 | ip[7]) & IPV4_OFFSET;
    const unsigned at = later ? 0 : sum_at(ip[9], ip + ihl, end);
    uint8_t before[8];
    memcpy(before, ip + 12, sizeof before);
    shift(ip + 12, 4, 2, lap, ip + 10);
    if (at)
        shift(before, 4, 2, lap, ip + ihl + at);
    if (!later && ip[9] == PROTO_ICMP && end - ip > (int)ihl + 8 && ip[ihl] != ICMP_ECHO && ip[ihl] != ICMP_ECHO_REPLY)
        shift_ipv4(ip + ihl + 8, end, lap); /* its header's sum stays: ICMP's does, too */
}

static void shift_ipv6(uint8_t *ip, const uint8_t *end, unsigned lap) {
    if (end - ip < (int)sizeof(struct ipv6_header))
        return;
    const unsigned at = sum_at(ip[6], ip + sizeof(struct ipv6_header), end);
    shift(ip + 8, 16, 7, lap, at ? ip + sizeof(struct ipv6_header) + at : NULL);
}

static void write_packet(FILE *f, const struct trace_packet *p, uint8_t *bytes, unsigned lap, uint64_t lap_ns) {
    const uint64_t time = p->time_ns + lap * lap_ns;
    const uint32_t h[4] = {(uint32_t)(time / SECOND_NS), (uint32_t)(time % SECOND_NS), p->len, p->wire_len};
    struct link_view v;
    memcpy(bytes, p->data, p->len);
    if (link_decode(LINKTYPE_ETHERNET, bytes, p->len, p->wire_len, &v) && v.fault == LINK_IP && v.len) {
        uint8_t *ip = bytes + (v.ip - bytes);
        (ip[0] >> 4 == 6 ? shift_ipv6 : shift_ipv4)(ip, bytes + p->len, lap);
    }
    fwrite(h, sizeof h, 1, f);
    fwrite(bytes, p->len, 1, f);
}

static void make_file(const char *capture, uint64_t least) {
    static const uint32_t header[6] = {0xa1b23c4d, 2 | 4 << 16, 0, 0, 262144, LINKTYPE_ETHERNET};
    static uint8_t bytes[1 << 18];
    struct err e;
    struct trace_memory *m = trace_preload(capture, 0, &e);
    FILE *f = fopen(pcap, "w");
    if (!m || !f)
        fail(m ? pcap : capture, m ? NULL : &e);
    const uint64_t lap_ns = m->packets[m->n - 1].time_ns - m->packets[0].time_ns + SECOND_NS;
    uint64_t size = sizeof header;
    fwrite(header, sizeof header, 1, f);
    for (unsigned lap = 0; size < least; lap++)
        for (size_t k = 0; k < m->n && m->packets[k].len <= sizeof bytes; k++, packets++) {
            write_packet(f, &m->packets[k], bytes, lap, lap_ns);
            size += RECORD_HEADER + m->packets[k].len;
        }
    if (fclose(f))
        fail(pcap, NULL);
    fprintf(stderr, "made of %zu packets of %s: %.2f GB\n", m->n, capture, (double)size / 1e9);
    trace_memory_destroy(m);
}

/* ---- processes ---- */

struct usage {
    double cpu;     /* seconds */
    double elapsed; /* seconds */
    double memory;  /* bytes, at its most */
};

static double seconds(const struct timeval *t) {
    return (double)t->tv_sec + (double)t->tv_usec / 1e6;
}

static void stay_here(void) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    sched_setaffinity(0, sizeof one, &one);
}

/* argv NULL: the bare loop; { NULL, scenario }: with the core. pinned: to one CPU. False: it failed. */
static bool run(char *const argv[], bool pinned, struct usage *u) {
    struct rusage r;
    int status;
    const uint64_t start = clock_ns();
    const pid_t pid = fork();
    if (pid < 0)
        fail("fork", NULL);
    if (!pid) {
        const int null = open("/dev/null", O_RDWR);
        if (pinned)
            stay_here();
        if (!argv || !argv[0])
            _exit(bare_loop(pcap, argv ? argv[1] : NULL));
        dup2(null, 0), dup2(null, 1), dup2(null, 2);
        execvp(argv[0], argv);
        _exit(127);
    }
    if (wait4(pid, &status, 0, &r) < 0)
        fail("wait", NULL);
    *u = (struct usage){seconds(&r.ru_utime) + seconds(&r.ru_stime), (double)(clock_ns() - start) / (double)SECOND_NS,
                        (double)r.ru_maxrss * 1024};
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static struct way {
    const char *name;
    char *argv[12];
    unsigned every; /* takes part in each such round */
    bool missing;
    unsigned n;
    double base[ROUNDS_MAX], mine[ROUNDS_MAX];
} ways[] = {
    {.name = "bare loop with the core", .argv = {NULL, ""}, .every = 1},
    {.name = "fwdlab analyze", .argv = {fwdlab, "analyze", "--no-scenario", pcap, "-o", out}, .every = 1},
    {.name = "fwdlab analyze, scenario", .argv = {fwdlab, "analyze", "", pcap, "-o", out}, .every = 1},
    {.name = "nfpcapd", .argv = {"nfpcapd", "-r", pcap, "-w", dir}, .every = 1},
    {.name = "softflowd", .argv = {"softflowd", "-d", "-r", pcap, "-n", "127.0.0.1:9"}, .every = 1},
    {.name = "argus", .argv = {"argus", "-F", "/dev/null", "-r", pcap, "-w", "/dev/null"}, .every = 1},
    {.name = "tshark -n -q -z conv,tcp", .argv = {"tshark", "-n", "-q", "-z", "conv,tcp", "-r", pcap}, .every = 4},
};
#define WAYS (sizeof ways / sizeof *ways)

static void measure(unsigned rounds) {
    double loop[ROUNDS_MAX], resident[WAYS] = {0};
    struct usage u;
    run(NULL, true, &u); /* fills the page cache */
    for (unsigned i = 0; i < rounds; i++) {
        if (!run(NULL, true, &u))
            fail("the bare loop", NULL);
        loop[i] = (double)packets / u.cpu;
        for (size_t k = 0; k < WAYS; k++) {
            struct way *w = &ways[i % 2 ? WAYS - 1 - k : k];
            if (w->missing || i % w->every)
                continue;
            w->missing = !run(w->argv, true, &u);
            if (w->missing && (!w->argv[0] || w->argv[0] == fwdlab))
                fail(w->name, NULL);
            w->base[w->n] = loop[i];
            w->mine[w->n++] = (double)packets / u.cpu;
            resident[w - ways] = u.memory;
        }
    }
    point_alone("bare loop over mapped pcap", "pps", stats_median(loop, rounds));
    for (size_t k = 0; k < WAYS; k++) {
        struct way *w = &ways[k];
        if (w->missing)
            fprintf(stderr, "%s is left out: not installed, or it failed\n", w->argv[0]);
        else
            point(w->name, "pps", stats_median(w->mine, w->n), w->base, w->mine, w->n);
    }
    for (size_t k = 0; k < WAYS; k++) {
        char name[64];
        snprintf(name, sizeof name, "resident memory: %s", ways[k].name);
        if (!ways[k].missing)
            point_alone(name, "MB", resident[k] / 1e6);
    }
}

/* Packets a second that passes, with both CPUs for either. */
static double analyze_with(const char *workers) {
    char *argv[] = {fwdlab, "analyze", "--workers", (char *)workers, (char *)scenario, pcap, "-o", out, NULL};
    struct usage u;
    if (!run(argv, false, &u))
        fail(fwdlab, NULL);
    return (double)packets / u.elapsed;
}

static double one_worker(void *arg) {
    (void)arg;
    return analyze_with("1");
}

static double two_workers(void *arg) {
    (void)arg;
    return analyze_with("2");
}

static void measure_workers(bool quick) {
    const struct cores_work work = {.one = one_worker, .two = two_workers, .unit = "pps"};
    const struct cores_bound bound = {.pairs = quick ? 8 : 12, .seconds = quick ? 30 : 180};
    struct cores c;
    cores_init(&c);
    cores_compare(&c, "fwdlab analyze, scenario: two workers to one", &work, &bound);
}

static void clean_up(void) {
    char *argv[] = {"rm", "-rf", dir, NULL};
    struct usage u;
    run(argv, true, &u);
}

static void prepare(const char *self) {
    const char *tmp = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", *slash = strrchr(self, '/');
    snprintf(dir, sizeof dir, "%.200s/fwdlab-analyze-XXXXXX", tmp);
    if (!mkdtemp(dir))
        fail(dir, NULL);
    atexit(clean_up);
    snprintf(pcap, sizeof pcap, "%s/trace.pcap", dir);
    snprintf(out, sizeof out, "%s/out.json", dir);
    snprintf(fwdlab, sizeof fwdlab, "%.*s/../fwdlab", slash ? (int)(slash - self) : 1, slash ? self : ".");
}

int main(int argc, char **argv) {
    static const struct option options[] = {
        {"quick", no_argument, NULL, 'q'}, {"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'},
        {"scenario", required_argument, NULL, 's'}, {0}};
    bool quick = false, json = false, help = false, wrong = false;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        quick |= c == 'q';
        json |= c == 'j';
        help |= c == 'h';
        wrong |= c == '?';
        scenario = c == 's' ? optarg : scenario;
    }
    if (help || wrong || argc != optind + 1) {
        fprintf(help ? stdout : stderr, "usage: analyze [--quick] [--json] [--scenario FILE] CAPTURE "
                                        "(of link type Ethernet)\n");
        return help ? 0 : 2;
    }
    prepare(argv[0]);
    ways[0].argv[1] = ways[2].argv[2] = (char *)scenario;
    make_file(argv[optind], quick ? 200 * 1000 * 1000 : 2000ull * 1000 * 1000);
    points_begin("Packets a second of CPU time, from a file in the page cache. Ratio: to the bare loop.\n"
                 "Two workers: of time that passed; to one worker.", json);
    measure(quick ? 8 : 12);
    measure_workers(quick);
    points_end();
    return 0;
}
