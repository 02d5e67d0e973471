/* SPDX-License-Identifier: BSD-3-Clause */
/* fwdlab anonymize: captures without their addresses, and mostly without payload, for eyes outside of the house. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include <fwdlab/base/file.h>
#include <fwdlab/result/document.h>
#include <fwdlab/trace/rewrite.h>
#include "cli.h"

#define KEY_LEN 32

struct request {
    const char *out, *key, *new_key, *filter;
    bool keep_payload, keep_mac, json, hash;
    char **traces;
    size_t n;
};

static int parse_options(int argc, char **argv, struct request *r) {
    static const struct option options[] = {
        {"output", required_argument, NULL, 'o'},   {"key", required_argument, NULL, 'k'},
        {"new-key", required_argument, NULL, 'n'},  {"filter", required_argument, NULL, 'f'},
        {"keep-payload", no_argument, NULL, 'p'},   {"keep-mac", no_argument, NULL, 'm'},
        {"json", no_argument, NULL, 'j'},           {"hash", no_argument, NULL, 'h'}, {0}};
    *r = (struct request){0};
    for (int c; (c = cli_option(argc, argv, options)) != -1;) {
        switch (c) {
        case 'o': r->out = optarg; break;
        case 'k': r->key = optarg; break;
        case 'n': r->new_key = optarg; break;
        case 'f': r->filter = optarg; break;
        case 'p': r->keep_payload = true; break;
        case 'm': r->keep_mac = true; break;
        case 'j': r->json = true; break;
        case 'h': r->hash = true; break;
        default: return EXIT_BAD_INPUT;
        }
    }
    r->traces = argv + optind;
    r->n = (size_t)(argc - optind);
    if (r->key && r->new_key)
        return cli_usage("--key and --new-key exclude each other");
    if (!r->n && !(r->new_key && !r->out))
        return cli_usage("anonymize takes at least one capture");
    if (r->n && !r->out)
        return cli_usage("anonymize takes a file to write, such as -o anonymous.pcapng");
    return EXIT_DONE;
}

static int hex_digit(char c) {
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* 64 hexadecimal digits and a newline, or the 32 bytes themselves. */
static bool read_key(const char *data, size_t len, uint8_t key[KEY_LEN]) {
    if (len == KEY_LEN) {
        memcpy(key, data, KEY_LEN);
        return true;
    }
    while (len && strchr("\r\n", data[len - 1]))
        len--;
    if (len != 2 * KEY_LEN)
        return false;
    for (size_t i = 0; i < KEY_LEN; i++) {
        int high = hex_digit(data[2 * i]), low = hex_digit(data[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        key[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static int load_key(const char *path, uint8_t key[KEY_LEN], struct err *e) {
    char *data;
    size_t len;
    int code = file_load(path, &data, &len, e);
    if (code)
        return code;
    if (!read_key(data, len, key)) {
        code = err_set(e, -EINVAL, "%zu bytes are no key", len);
        err_where(e, "%s", path);
        err_hint(e, "a key is 32 bytes, or 64 hexadecimal digits; --new-key %s.new makes one", path);
    }
    explicit_bzero(data, len);
    free(data);
    return code;
}

/* A key once lost cannot be made again: a file that exists is left alone. Only its owner may read it. */
static int save_key(const char *path, const uint8_t key[KEY_LEN], struct err *e) {
    char text[2 * KEY_LEN + 2];
    for (size_t i = 0; i < KEY_LEN; i++)
        snprintf(text + 2 * i, 3, "%02x", key[i]);
    strcpy(text + 2 * KEY_LEN, "\n");
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), code = 0;
    if (fd < 0 || write(fd, text, 2 * KEY_LEN + 1) != 2 * KEY_LEN + 1 || fsync(fd)) {
        code = err_set(e, errno ? -errno : -EIO, "cannot make the key: %s", strerror(errno));
        err_where(e, "%s", path);
        if (code == -EEXIST)
            err_hint(e, "--key %s uses it as it is", path);
        else if (fd >= 0)
            unlink(path);
    }
    if (fd >= 0)
        close(fd);
    explicit_bzero(text, sizeof text);
    return code;
}

static int get_key(const struct request *r, uint8_t key[KEY_LEN], struct err *e) {
    if (r->key)
        return load_key(r->key, key, e);
    if (getrandom(key, KEY_LEN, 0) != KEY_LEN)
        return err_set(e, -EIO, "the system gives no random numbers");
    return r->new_key ? save_key(r->new_key, key, e) : 0;
}

static json_t *document(const struct request *r, const struct anonymize_stats *s, struct err *e) {
    struct document_input *inputs = calloc(r->n, sizeof *inputs);
    for (size_t i = 0; i < r->n; i++)
        inputs[i] = (struct document_input){r->traces[i], "trace"};
    struct document_options o = {.command = "anonymize", .inputs = inputs, .n_inputs = (unsigned)r->n,
                                 .full_hash = r->hash, .partial = s->damage[0]};
    json_t *doc = document_new(&o, e), *packets = json_object();
    free(inputs);
    if (!doc) {
        json_decref(packets);
        return NULL;
    }
    document_count(packets, "written", s->packets);
    document_count(packets, "filtered", s->filtered);
    document_count(packets, "cut", s->cut);
    document_count(packets, "closed", s->closed);
    json_object_set_new(doc, "packets", packets);
    json_object_set_new(doc, "output", document_string(r->out));
    json_object_set_new(doc, "key", json_string(r->key || r->new_key ? "kept" : "thrown away"));
    if (s->damage[0])
        json_object_set_new(doc, "damage", document_string(s->damage));
    return doc;
}

static void print(const struct request *r, const struct anonymize_stats *s) {
    printf("%llu packets in %s; %llu cut, %llu with something in them that is not known\n",
           (unsigned long long)s->packets, r->out, (unsigned long long)s->cut, (unsigned long long)s->closed);
    if (s->filtered)
        printf("left out by the filter: %llu\n", (unsigned long long)s->filtered);
    if (s->damage[0])
        printf("partial: %s\n", s->damage);
}

static int run(int argc, char **argv) {
    struct request r;
    struct err e = {0};
    uint8_t key[KEY_LEN];
    int code = parse_options(argc, argv, &r);
    if (code)
        return code;
    if (get_key(&r, key, &e))
        return cli_fail(&e);
    struct anonymize_stats s;
    struct trace_many_options many = {.paths = (const char *const *)r.traces, .n = r.n, .filter = r.filter};
    struct anonymize_options o = {.key = key, .keep_payload = r.keep_payload, .keep_mac = r.keep_mac};
    code = r.n ? trace_anonymize(&many, r.out, &o, &s, &e) : 0;
    explicit_bzero(key, sizeof key);
    if (code)
        return cli_fail(&e);
    if (!r.n)
        return EXIT_DONE;
    if (!r.json) {
        print(&r, &s);
        return EXIT_DONE;
    }
    json_t *doc = document(&r, &s, &e);
    return doc ? cli_document_done(doc, true, NULL) : cli_fail(&e);
}

const struct command command_anonymize = {
    "anonymize", "TRACE... -o OUT.pcapng", "Captures that may leave the house: other addresses, no payload",
    "Addresses change, in headers of all layers, tunnels, ARP, DHCP and what ICMP errors quote, so that what two have\n"
    "in common at their beginning stays so (Crypto-PAn); times, lengths, ports, flags and names of interfaces stay,\n"
    "and checksums that were right are right. What stands behind TCP, UDP and ICMP headers is cut off, and so is what\n"
    "is not known: packets keep their length. Comments, descriptions, resolved names and decryption secrets are left\n"
    "out.\n\n"
    "  -o FILE            the pcapng to write, whole or not at all\n"
    "  --key FILE         32 bytes or 64 hexadecimal digits: the same key gives the same addresses again\n"
    "  --new-key FILE     make such a file, and use it (default: a key that nobody sees, thrown away)\n"
    "  --filter EXPR      only these packets, in the syntax of pcap-filter(7)\n"
    "  --keep-payload     what TCP, UDP and ICMP echoes carry stays as it is, with all that it tells\n"
    "  --keep-mac         MAC addresses stay (else their last three bytes change, and the vendor's stay)\n"
    "  --hash             the full SHA-256 of every input in the document\n"
    "  --json             one JSON document on stdout\n",
    run};
