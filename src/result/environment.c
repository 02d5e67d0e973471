/* SPDX-License-Identifier: BSD-3-Clause */
/* The machine and the build, as they matter to a figure: CPU, vector extensions, kernel, DPDK, commit, noise. */
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <fwdlab/base/clock.h>
#include "commit.h"
#include "environment.h"

/* The value of the first line of /proc/cpuinfo that begins with one of two keys (x86, Arm); "" without one. malloc. */
static char *cpuinfo(const char *key, const char *other) {
    FILE *f = fopen("/proc/cpuinfo", "re");
    char *line = NULL, *value = NULL;
    size_t size = 0;
    while (f && !value && getline(&line, &size, f) > 0) {
        if (strncmp(line, key, strlen(key)) && strncmp(line, other, strlen(other)))
            continue;
        const char *colon = strchr(line, ':');
        if (!colon)
            continue;
        line[strcspn(line, "\n")] = 0;
        value = strdup(colon + 1 + strspn(colon + 1, " \t"));
    }
    free(line);
    if (f)
        fclose(f);
    return value ? value : strdup("");
}

/* Extensions that code paths here or in DPDK choose by. */
static json_t *flags_json(void) {
    static const char *const relevant[] = {"sse4_2", "avx2", "avx512f", "avx512bw", "avx512vl", "aes", "vaes",
                                           "pclmulqdq", "vpclmulqdq", "constant_tsc", "nonstop_tsc", "hypervisor",
                                           "asimd", "sve"};
    json_t *out = json_array();
    char *flags = cpuinfo("flags", "Features"), *rest = NULL;
    for (char *flag = flags ? strtok_r(flags, " ", &rest) : NULL; flag; flag = strtok_r(NULL, " ", &rest))
        for (size_t i = 0; i < sizeof relevant / sizeof *relevant; i++)
            if (!strcmp(flag, relevant[i]))
                json_array_append_new(out, json_string(flag));
    free(flags);
    return out;
}

static json_t *noise_json(const struct noise *n) {
    if (!n)
        return json_null();
    return json_pack("{s:I, s:I, s:f, s:I, s:I, s:I, s:b}", "window_ns", (json_int_t)n->window_ns, "lost_ns",
                     (json_int_t)n->lost_ns, "lost_share", n->lost_share, "gap_p50_ns", (json_int_t)n->gap_p50_ns,
                     "gap_p9999_ns", (json_int_t)n->gap_p9999_ns, "gap_max_ns", (json_int_t)n->gap_max_ns, "quiet",
                     (int)n->quiet);
}

json_t *environment_json(const struct document_options *options) {
    struct utsname system = {0};
    json_t *out = json_object();
    char *cpu = cpuinfo("model name", "CPU part");

    uname(&system);
    json_object_set_new(out, "cpu", document_string(cpu));
    json_object_set_new(out, "flags", flags_json());
    json_object_set_new(out, "dpdk", options->dpdk ? document_string(options->dpdk) : json_null());
    json_object_set_new(out, "commit", json_string(FWDLAB_COMMIT));
    json_object_set_new(out, "kernel", document_string(system.release));
    if (options->hugepages) {
        document_count(out, "tsc_hz", clock_tsc_hz());
        json_object_set_new(out, "hugepages", document_string(options->hugepages));
        json_object_set_new(out, "noise", noise_json(options->noise));
    }
    free(cpu);
    return out;
}
