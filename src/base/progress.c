/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <unistd.h>
#include <fwdlab/base/clock.h>
#include <fwdlab/base/progress.h>

static uint64_t last_ns;
static int drawn;

void progress(const char *what, uint64_t done, uint64_t total) {
    uint64_t now = clock_ns();
    if (now - last_ns < SECOND_NS / 10 || !isatty(STDERR_FILENO))
        return;
    last_ns = now;
    drawn = 1;
    if (total)
        fprintf(stderr, "\r\033[K%s: %3.0f %%", what, 100.0 * (double)done / (double)total);
    else
        fprintf(stderr, "\r\033[K%s: %llu", what, (unsigned long long)done);
}

void progress_done(void) {
    if (drawn)
        fputs("\r\033[K", stderr);
    drawn = 0;
}
