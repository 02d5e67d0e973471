/* SPDX-License-Identifier: BSD-3-Clause */
/* Result documents: what is in them, that they come back as they were, and what is refused. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <fwdlab/base/file.h>
#include <fwdlab/base/random.h>
#include <fwdlab/result/document.h>

static char dir[] = "/tmp/fwdlab-result-XXXXXX", path[64];

static void setup(void) {
    cr_assert(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/doc.json", dir);
}
static void teardown(void) {
    unlink(path);
    rmdir(dir);
}
TestSuite(document, .init = setup, .fini = teardown);

static void file_write(const void *data, size_t len) {
    FILE *f = fopen(path, "w");
    cr_assert(f && fwrite(data, 1, len, f) == len && !fclose(f));
}

static const char *text_of(const json_t *object, const char *key) {
    return json_string_value(json_object_get(object, key));
}

Test(document, untimed_has_schema_environment_inputs_and_no_noise) {
    struct err e;
    file_write("abc", 3);
    const struct document_input in[] = {{path, "scenario"}, {"-", "trace"}};
    const struct document_options o = {.command = "analyze", .inputs = in, .n_inputs = 2, .full_hash = true};
    json_t *doc = document_new(&o, &e);
    cr_assert(doc, "%s", e.what);
    cr_assert_str_eq(text_of(doc, "schema"), "fwdlab.analyze/1");
    json_t *env = json_object_get(doc, "environment"), *inputs = json_object_get(doc, "inputs");
    cr_assert(json_is_string(json_object_get(env, "cpu")) && json_is_array(json_object_get(env, "flags")));
    cr_assert(json_is_null(json_object_get(env, "dpdk")));
    cr_assert(strlen(text_of(env, "commit")) && strlen(text_of(env, "kernel")));
    cr_assert_null(json_object_get(env, "hugepages"));
    cr_assert_null(json_object_get(env, "tsc_hz"));
    cr_assert_null(json_object_get(env, "noise"));
    cr_assert_null(json_object_get(doc, "partial"));
    json_t *first = json_array_get(inputs, 0), *second = json_array_get(inputs, 1);
    cr_assert_str_eq(text_of(first, "path"), path);
    cr_assert_str_eq(text_of(first, "role"), "scenario");
    cr_assert_eq(json_integer_value(json_object_get(first, "size")), 3);
    cr_assert_str_eq(text_of(first, "sha256"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    cr_assert(json_is_null(json_object_get(second, "size")));
    json_decref(doc);
}

Test(document, timed_has_the_noise_floor) {
    const struct noise n = {.window_ns = 1000, .lost_ns = 10, .gap_max_ns = 9, .lost_share = 0.01};
    const struct document_options o = {.command = "replay", .dpdk = "22.11", .hugepages = "none", .noise = &n,
                                       .partial = true};
    json_t *doc = document_new(&o, NULL), *env = json_object_get(doc, "environment");
    json_t *noise = json_object_get(env, "noise");
    cr_assert_str_eq(text_of(env, "hugepages"), "none");
    cr_assert_gt(json_integer_value(json_object_get(env, "tsc_hz")), 1000000);
    cr_assert_str_eq(text_of(env, "dpdk"), "22.11");
    cr_assert_eq(json_integer_value(json_object_get(noise, "lost_ns")), 10);
    cr_assert_eq(json_real_value(json_object_get(noise, "lost_share")), 0.01);
    cr_assert(json_is_false(json_object_get(noise, "quiet")));
    cr_assert(json_is_true(json_object_get(doc, "partial")));
    json_decref(doc);
}

Test(document, saved_and_loaded_is_the_same) {
    struct err e;
    const struct document_options o = {.command = "compare"};
    json_t *doc = document_new(&o, &e);
    json_object_set_new(doc, "z", json_integer(1));
    json_object_set_new(doc, "a", json_real(0.1));
    cr_assert_eq(document_save(doc, path, &e), 0, "%s", e.what);
    json_t *back = document_load(path, "compare", &e);
    cr_assert(back, "%s", e.what);
    cr_assert(json_equal(doc, back));
    char *one = document_text(doc), *two = document_text(back);
    cr_assert_str_eq(one, two);
    cr_assert(strstr(one, "\"z\"") < strstr(one, "\"a\""), "order of the keys");
    cr_assert_str_eq(one + strlen(one) - 3, "\n}\n");
    free(one);
    free(two);
    json_decref(doc);
    json_decref(back);
}

Test(document, what_is_no_document_is_refused_with_the_place) {
    static const struct { const char *text, *command, *what; } cases[] = {
        {"{\n \"schema\": fwdlab\n}", NULL, "not JSON"},
        {"[]", NULL, "not a result document"},
        {"{\"schema\": 5}", NULL, "not a result document"},
        {"{\"schema\": \"other.analyze/1\"}", NULL, "not a result document"},
        {"{\"schema\": \"fwdlab.analyze/2\"}", NULL, "version"},
        {"{\"schema\": \"fwdlab.analyze/1\"}", "replay", "document of `analyze`"},
        {"{\"schema\": \"fwdlab.analyze/1\"}", "analyz", "document of `analyze`"},
        {"{\"schema\": \"fwdlab.analyze/1\", \"schema\": 1}", "analyze", "not JSON"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = {0};
        file_write(cases[i].text, strlen(cases[i].text));
        cr_assert_null(document_load(path, cases[i].command, &e), "case %zu", i);
        cr_assert(strstr(e.what, cases[i].what), "case %zu: %s", i, e.what);
        cr_assert(!strncmp(e.where, path, strlen(path)), "case %zu: %s", i, e.where);
    }
}

Test(document, unreadable_input_is_an_error_that_names_it) {
    struct err e = {0};
    const struct document_input in[] = {{dir, "trace"}};
    struct document_options o = {.command = "analyze", .inputs = in, .n_inputs = 1};
    cr_assert_null(document_new(&o, &e));
    cr_assert_str_eq(e.where, dir);
    unlink(path);
    o.inputs = &(struct document_input){path, "trace"};
    cr_assert_null(document_new(&o, &e));
    cr_assert_str_eq(e.where, path);
}

/* The digest as a shell would make it of the size, the first and the last MiB. */
Test(document, digest_sees_size_head_and_tail) {
    const size_t n = 3u << 20;
    char *data = calloc(1, n + 1), hex[3][65];
    unsigned long long size;
    file_write(data, n);
    cr_assert_eq(document_digest(path, false, hex[0], &size, NULL), 0);
    cr_assert_eq(size, n);
    data[n / 2] = 1; /* in the middle: not seen by the quick digest, seen by the whole one */
    file_write(data, n);
    cr_assert_eq(document_digest(path, false, hex[1], &size, NULL), 0);
    cr_assert_str_eq(hex[0], hex[1]);
    cr_assert_eq(document_digest(path, true, hex[2], &size, NULL), 0);
    cr_assert_str_neq(hex[2], hex[1]);
    data[n - 1] = 1;
    file_write(data, n);
    cr_assert_eq(document_digest(path, false, hex[1], &size, NULL), 0);
    cr_assert_str_neq(hex[0], hex[1]);
    file_write("", 0); /* sha256 of eight zero bytes */
    cr_assert_eq(document_digest(path, false, hex[0], &size, NULL), 0);
    cr_assert_str_eq(hex[0], "af5570f5a1810b7af78caf4bc70a660f0df51e42baf91d4de5b2328de0e83dfc");
    free(data);
}

Test(document, text_that_is_not_utf8_is_kept_legible) {
    static const struct { const char *in, *out; } cases[] = {
        {"plain", "plain"},
        {"", ""},
        {"\xff" "a\xc3\xa4\xc3", "\xef\xbf\xbd" "a\xc3\xa4\xef\xbf\xbd"},
        {"\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xf0\x9f\x98\x80\x80", "\xf0\x9f\x98\x80\xef\xbf\xbd"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *s = document_string(cases[i].in);
        cr_assert_str_eq(json_string_value(s), cases[i].out, "case %zu", i);
        json_decref(s);
    }
}

static json_t *made_up(struct random *r, unsigned depth) {
    static const char *const strings[] = {"",  "plain", "\xc3\xa4\xe2\x82\xac", "a \"b\" \\c\\", "\x01\n\t\x7f",
                                          "/{[,: "};
    json_t *o;
    switch (random_below(r, depth < 5 ? 7 : 5)) {
    case 0: return json_integer((json_int_t)(random_u64(r) >> (1 + random_below(r, 63))) - (1 << 20));
    case 1: return json_integer(random_below(r, 2) ? INT64_MIN : INT64_MAX);
    case 2: return json_real((random_unit(r) - 0.5) * (random_below(r, 2) ? 1e300 : 1));
    case 3: return json_string(strings[random_below(r, 6)]);
    case 4: return random_below(r, 3) ? json_boolean(random_below(r, 2)) : json_null();
    case 5:
        o = json_array();
        for (unsigned n = random_below(r, 5); n; n--)
            json_array_append_new(o, made_up(r, depth + 1));
        return o;
    default:
        o = json_object();
        for (unsigned n = random_below(r, 5); n; n--)
            json_object_set_new(o, strings[random_below(r, 6)], made_up(r, depth + 1));
        return o;
    }
}

/* Nothing but white space between tokens differs from what jansson writes. */
Test(document, is_written_as_jansson_does) {
    const uint64_t seed = (uint64_t)time(NULL);
    struct random r;
    random_seed(&r, seed);
    for (unsigned i = 0; i < 3000; i++) {
        json_t *doc = json_object();
        json_object_set_new(doc, "made up", made_up(&r, 0));
        char *got = document_text(doc), *to = got;
        char *wanted = json_dumps(doc, JSON_COMPACT | JSON_REAL_PRECISION(12));
        bool quoted = false;
        for (const char *c = got; *c; c++) {
            quoted ^= *c == '"';
            if (quoted || (*c != ' ' && *c != '\n'))
                *to++ = *c;
            if (quoted && *c == '\\')
                *to++ = *++c;
        }
        *to = 0;
        cr_assert_str_eq(got, wanted, "seed %llu", (unsigned long long)seed);
        free(got);
        free(wanted);
        json_decref(doc);
    }
}

Test(document, arrays_without_objects_stand_on_one_line) {
    const char *const text = "{\n  \"a\": [[1, 2], [3, 4]],\n  \"b\": [\n    {\n      \"c\": [],\n"
                             "      \"d\": [\"[ \\\"{\", 2]\n    },\n    []\n  ],\n  \"e\\\\\": [\"x\\ny\"]\n}\n";
    json_error_t error;
    json_t *doc = json_loads(text, 0, &error);
    cr_assert_not_null(doc, "%s", error.text);
    char *got = document_text(doc);
    cr_assert_str_eq(got, text);
    json_t *again = json_loads(got, 0, NULL);
    cr_assert(json_equal(doc, again));
    free(got);
    json_decref(doc);
    json_decref(again);
}

static void write_rows(struct writer *w, const void *of) {
    for (int i = 0; i < *(const int *)of; i++) {
        writer_begin(w, '{');
        writer_key(w, "name \"x\"");
        writer_string(w, i % 2 ? "plain" : "a \"b\"\n\xc3\xa4");
        writer_key(w, "n");
        writer_integer(w, i % 3 ? i * 1000003ll : -i);
        writer_end(w, '}');
    }
}

/* As if they had been in the tree; in a file as in memory, however long it is. */
Test(document, rows_stand_at_their_place) {
    static const int counts[] = {0, 1, 5000};
    for (unsigned k = 0; k < 3; k++) {
        struct err e;
        const struct document_rows rows = {.object = "nat", .key = "pairs", .write = write_rows, .of = &counts[k]};
        json_t *list = json_array(), *doc = json_pack("{s:[], s:{s:i, s:o, s:[i]}}", "pairs", "nat", "a", 1, "pairs",
                                                      list, "z", 2);
        char *got = document_text_rows(doc, &rows), *saved;
        size_t n;
        cr_assert_eq(document_save_rows(doc, &rows, path, &e), 0, "%s", e.what);
        cr_assert_eq(file_load(path, &saved, &n, &e), 0, "%s", e.what);
        for (int i = 0; i < counts[k]; i++)
            json_array_append_new(list, json_pack("{s:s, s:I}", "name \"x\"", i % 2 ? "plain" : "a \"b\"\n\xc3\xa4",
                                                  "n", (json_int_t)(i % 3 ? i * 1000003ll : -i)));
        char *wanted = document_text(doc);
        cr_expect_str_eq(got, wanted, "%d rows", counts[k]);
        cr_expect_str_eq(saved, wanted, "%d rows", counts[k]);
        free(got);
        free(saved);
        free(wanted);
        json_decref(doc);
    }
}
