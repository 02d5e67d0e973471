/* SPDX-License-Identifier: BSD-3-Clause */
#include "caches.h"
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define INDEXES_MAX 8

/* False: there is no such file. */
static bool read_word(unsigned cpu, unsigned index, const char *file, char word[32]) {
    char path[120];
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%u/cache/index%u/%s", cpu, index, file);
    FILE *f = fopen(path, "re");
    const bool ok = f && fscanf(f, "%31s", word) == 1;
    if (f)
        fclose(f);
    return ok;
}

unsigned caches_read(unsigned cpu, struct cache out[CACHES_MAX]) {
    unsigned n = 0;
    char level[32], type[32], size[32];
    for (unsigned i = 0; i < INDEXES_MAX && n < CACHES_MAX; i++) {
        unsigned long long bytes;
        char unit = 0;
        if (!read_word(cpu, i, "level", level) || !read_word(cpu, i, "type", type) || !strcmp(type, "Instruction") ||
            !read_word(cpu, i, "size", size) || sscanf(size, "%llu%c", &bytes, &unit) < 1)
            continue;
        bytes <<= unit == 'K' ? 10 : unit == 'M' ? 20 : 0;
        snprintf(out[n].name, sizeof out[n].name, "L%.3s%s", level, !strcmp(type, "Data") ? "d" : "");
        out[n++].bytes = bytes;
    }
    return n;
}
