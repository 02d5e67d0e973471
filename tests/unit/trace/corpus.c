/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Captures of the real world (the folder that FWDLAB_SHARED names): sound ones have as many packets and bytes as
 * capinfos says, malformed ones end with packets or with a message that names an offset. Skipped without the folder.
 */
#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/trace/many.h>

TestSuite(corpus, .timeout = 200);

static VEC(const char *) malformed;

/* The folder, or a skipped test. */
static const char *folder(const char *name) {
    static char path[1024];
    const char *shared = getenv("FWDLAB_SHARED");
    snprintf(path, sizeof path, "%s/data/%s", shared ? shared : "../shared", name);
    if (access(path, R_OK))
        cr_skip_test("there is no %s: set FWDLAB_SHARED to the folder with data/%s", path, name);
    return path;
}

static int read_malformed(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    if (type != FTW_F)
        return 0;
    struct err e = {0};
    struct trace *t = trace_open(path, &e);
    struct trace_packet p;
    unsigned sum = 0;
    int r = t ? 1 : -1;
    while (r > 0 && (r = trace_read(t, &p, &e)) > 0)
        for (uint32_t i = 0; i < p.len; i++) /* every byte is there */
            sum += p.data[i];
    cr_expect(sum || !sum);
    const char *message = r < 0 ? e.what : trace_damage(t);
    cr_expect(!message || strstr(message, "byte "), "%s: '%s' names no offset", path, message);
    trace_close(t);
    vec_push(&malformed, xstrdup(path));
    return 0;
}

/* All of them as one stream, in order, filtered, and as they stand: each is read as far as it goes. */
static void read_together(struct trace_many_options o) {
    struct err e = {0};
    struct trace_many *m;
    struct trace_packet p;
    uint64_t n = 0, sum = 0;
    o.paths = malformed.v;
    o.n = malformed.n;
    cr_assert(m = trace_many_open(&o, &e), "%s: %s", e.where, e.what);
    for (; trace_many_read(m, &p, &e) > 0; n++)
        for (uint32_t i = 0; i < p.len; i++)
            sum += p.data[i];
    struct trace_many_stats s;
    trace_many_stats(m, &s);
    cr_expect(n == s.read - s.filtered && n > 100 && sum, "%lu packets", (unsigned long)n);
    cr_expect(strstr(trace_many_damage(m), "byte "));
    trace_many_close(m);
}

Test(corpus, malformed) {
    cr_assert_eq(nftw(folder("malformed"), read_malformed, 16, FTW_PHYS), 0);
    cr_expect_gt(malformed.n, 200, "%zu files", malformed.n);
    read_together((struct trace_many_options){.in_order = true});
    read_together((struct trace_many_options){.in_order = true, .filter = "len > 0"});
    read_together((struct trace_many_options){0});
}

/* One line of capinfos: path,packets,bytes on the wire. Returns whether it was compared. */
static bool compare(char *line) {
    char *bytes = strrchr(line, ',');
    *bytes++ = 0;
    char *count = strrchr(line, ',');
    *count++ = 0;
    struct trace_memory *m = trace_preload(line, 0, NULL);
    if (!m)
        return false;
    uint64_t wire = 0;
    for (size_t i = 0; i < m->n; i++)
        wire += m->packets[i].wire_len;
    cr_expect_eq(m->n, strtoull(count, NULL, 10), "%s: %zu packets, capinfos says %s", line, m->n, count);
    cr_expect_eq(wire, strtoull(bytes, NULL, 10), "%s: %lu bytes, capinfos says %s", line, (unsigned long)wire, bytes);
    cr_expect_null(m->damage, "%s: %s", line, m->damage);
    trace_memory_destroy(m);
    return true;
}

Test(corpus, capinfos_counts_the_same) {
    if (system("command -v capinfos >/dev/null"))
        cr_skip_test("capinfos is not installed");
    char command[2048], line[2048];
    snprintf(command, sizeof command, "find '%s' -type f -print0 | xargs -0 capinfos -TrmMcd 2>/dev/null",
        folder("pcap"));
    FILE *f = popen(command, "r");
    unsigned compared = 0, refused = 0;
    while (fgets(line, sizeof line, f))
        compare(line) ? compared++ : refused++;
    pclose(f);
    cr_expect_gt(compared, 300, "%u files", compared);
    cr_expect_leq(refused, 2, "%u files that capinfos reads are refused; there are a snoop and a text file", refused);
}
