/* SPDX-License-Identifier: BSD-3-Clause */
/* Input that is damaged or means harm: refused with a complaint, never a crash, never much time or memory. */
#include "dual.h"
#include "helper.h"
#include <ftw.h>
#include <fwdlab/base/file.h>
#include <fwdlab/base/random.h>
#include <fwdlab/scenario/plan.h>
#include <unistd.h>

/*
 * Loads, not forced and forced, and holds what always holds: no scenario means an error that is no fault, or a fault
 * and nobody forced it; and every complaint has a place.
 */
static void survive(const char *text, size_t len, uint64_t seed) {
    for (unsigned force = 0; force < 2; force++) {
        struct complaints c = {0};
        struct scenario *s =
            (force ? scenario_load_text_forced : scenario_load_text)(NESTED "hostile.yaml", text, len, &c);
        unsigned errors = 0, faults = 0;
        for (size_t i = 0; i < c.list.n; i++) {
            const struct complaint *x = &c.list.v[i];
            cr_assert(x->at.line > 0 && x->at.file && *x->what, "seed %llu", (unsigned long long)seed);
            errors += x->severity == SEVERITY_ERROR;
            faults += x->severity == SEVERITY_ERROR && x->fault;
        }
        cr_assert(errors == c.errors && faults == c.faults, "seed %llu", (unsigned long long)seed);
        cr_assert_eq(s != NULL, errors == (force ? faults : 0), "seed %llu", (unsigned long long)seed);
        if (s) {
            struct plan plan;
            plan_init(&plan, s);
            cr_assert_eq(plan.subnets.n, s->subnets.n, "seed %llu", (unsigned long long)seed);
            plan_fini(&plan);
        }
        scenario_destroy(s);
        complaints_fini(&c);
    }
}

/* All of routed.yaml, or a variant with every newer key. */
static char *sound_text(unsigned which, size_t *len) {
    char *text = NULL;
    if (which == 0)
        cr_assert_eq(file_load(NESTED "routed.yaml", &text, len, NULL), 0);
    else
        cr_assert_gt(*len = (size_t)asprintf(&text, "%s", VARIANT DUAL_OVER), 0);
    return text;
}

Test(hostile, every_prefix_of_a_scenario, .timeout = 60) {
    for (unsigned which = 0; which < 2; which++) {
        size_t len;
        char *text = sound_text(which, &len);
        for (size_t i = 0; i <= len; i++) {
            char *exact = malloc(i ? i : 1); /* so that the address sanitizer sees any overread */
            memcpy(exact, text, i);
            survive(exact, i, i);
            free(exact);
        }
        free(text);
    }
}

static void mutate(char *m, size_t len, struct random *r) {
    for (uint32_t k = 1 + random_below(r, 8); k; k--) {
        size_t at = random_below(r, (uint32_t)len), from = random_below(r, (uint32_t)len);
        size_t n = 1 + random_below(r, 24);
        if (at + n > len || from + n > len)
            continue;
        switch (random_below(r, 4)) {
        case 0:
            m[at] = (char)random_u64(r);
            break;
        case 1:
            memmove(m + at, m + from, n);
            break;
        case 2: /* another number: addresses and lengths that clash */
            if (m[at] >= '0' && m[at] <= '9')
                m[at] = (char)('0' + random_below(r, 10));
            break;
        default:
            m[at] = "{}[]:,&*!|>\"'#-?% \n\0/09~"[random_below(r, 24)];
            break;
        }
    }
}

Test(hostile, random_mutations, .timeout = 60) {
    for (uint64_t seed = 1; seed <= 2000; seed++) {
        struct random r;
        size_t len;
        random_seed(&r, seed);
        char *text = sound_text(seed & 1, &len);
        mutate(text, len, &r);
        survive(text, len, seed);
        free(text);
    }
}

static void refused(const char *text, const char *what) {
    struct complaints c;
    cr_assert_null(load_text(text, &c));
    bool found = false;
    for (size_t i = 0; i < c.list.n; i++)
        found = found || strstr(c.list.v[i].what, what);
    cr_expect(found, "%s, but: %s", what, c.list.v[0].what);
    complaints_fini(&c);
}

Test(hostile, billion_laughs, .timeout = 10) {
    refused(
        "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
        "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: "
        "[*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\n",
        "more than 50000 values");
    refused("a: &a [*a]\n", "alias *a names no anchor");
}

Test(hostile, deep_nesting, .timeout = 10) {
    char text[100001];
    memset(text, '[', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    refused(text, "nested more than 32 levels deep");
    char chain[4096] = "a0: &a0 [x]\n";
    for (int i = 1; i < 64; i++)
        sprintf(chain + strlen(chain), "a%d: &a%d [*a%d]\n", i, i, i - 1);
    refused(chain, "nested more than 32 levels deep");
}

Test(hostile, a_huge_file, .timeout = 60) {
    size_t len = (4u << 20) + 1;
    char *text = malloc(len);
    memset(text, ' ', len);
    struct complaints c = {0};
    cr_expect_null(scenario_load_text("huge.yaml", text, len, &c));
    cr_expect(strstr(c.list.v[0].what, "4194305 bytes"));
    complaints_fini(&c);
    free(text);
}

/* Thousands of elements that all clash with each other bring thousands of complaints, not millions. */
Test(hostile, many_faults, .timeout = 60) {
    size_t n = 4000, used;
    char *text = malloc(n * 100 + 200);
    used = (size_t)sprintf(text, "fwdlab: 1\nname: x\nswitches: { s: {} }\nmachines:\n");
    for (size_t i = 0; i < n; i++)
        used += (size_t)sprintf(text + used, "  m%zu: { nics: { e: { switch: s, address: 10.0.0.1/24 } } }\n", i);
    struct complaints c = {0};
    cr_expect_null(scenario_load_text("many.yaml", text, used, &c));
    cr_expect_eq(c.errors, n - 1);
    complaints_fini(&c);
    free(text);
}

static void write_file(const char *path, const char *text) {
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f);
    fputs(text, f);
    fclose(f);
}

Test(hostile, bases_in_a_circle) {
    char dir[] = "/tmp/fwdlab-scenario-XXXXXX", a[64], b[64];
    cr_assert_not_null(mkdtemp(dir));
    snprintf(a, sizeof a, "%s/a.yaml", dir);
    snprintf(b, sizeof b, "%s/b.yaml", dir);
    write_file(a, "fwdlab: 1\nname: a\nbase: b.yaml\n");
    write_file(b, "fwdlab: 1\nbase: ./a.yaml\n");
    struct complaints c = {0};
    cr_expect_null(scenario_load(a, &c));
    cr_assert_eq(c.errors, 1);
    cr_expect(strstr(c.list.v[0].what, "the bases go in a circle"), "%s", c.list.v[0].what);
    cr_expect(strstr(c.list.v[0].at.file, "b.yaml") && c.list.v[0].at.line == 2);
    complaints_fini(&c);
    cr_expect_null(scenario_load(dir, &c)); /* a directory */
    cr_expect_eq(c.errors, 1);
    complaints_fini(&c);
    unlink(a);
    unlink(b);
    rmdir(dir);
}

static unsigned files;

static int load_capture(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void)st;
    (void)ftw;
    if (type != FTW_F)
        return 0;
    struct complaints c = {0};
    cr_expect_null(scenario_load(path, &c), "%s is no scenario", path);
    cr_expect(c.errors > 0 && c.list.v[0].at.line > 0 && *c.list.v[0].what, "%s: no line named", path);
    complaints_fini(&c);
    files++;
    return 0;
}

/* Files that are anything but YAML: somebody mistook a capture for a scenario. */
Test(hostile, malformed_captures, .timeout = 100) {
    char path[1024];
    const char *shared = getenv("FWDLAB_SHARED");
    snprintf(path, sizeof path, "%s/data/malformed", shared ? shared : "../shared");
    if (access(path, R_OK))
        cr_skip_test("there is no %s: set FWDLAB_SHARED to the folder with data/malformed", path);
    cr_assert_eq(nftw(path, load_capture, 16, FTW_PHYS), 0);
    cr_expect_gt(files, 200, "%u files", files);
}
