/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>
#include <fwdlab/base/clock.h>
#include <fwdlab/base/progress.h>

static uint64_t last_ns, first_ns, first; /* first: of a job of bytes, when and where it was seen first */
static bool drawn;

/* Begins the line, if it is time to. */
static bool draws(const char *what, uint64_t now) {
    if (now - last_ns < SECOND_NS / 10 || !isatty(STDERR_FILENO))
        return false;
    last_ns = now;
    drawn = true;
    fprintf(stderr, "\r\033[K%s: ", what);
    return true;
}

void progress(const char *what, uint64_t done, uint64_t total) {
    if (!draws(what, clock_ns()))
        return;
    if (total)
        fprintf(stderr, "%3.0f %%", 100.0 * (double)done / (double)total);
    else
        fprintf(stderr, "%llu", (unsigned long long)done);
}

void progress_bytes(const char *what, uint64_t done, uint64_t total) {
    const uint64_t now = clock_ns();
    if (!first_ns) {
        first_ns = now;
        first = done;
    }
    if (!draws(what, now))
        return;
    const double rate = now > first_ns ? (double)(done - first) * SECOND_NS / (double)(now - first_ns) : 0;
    if (total)
        fprintf(stderr, "%3.0f %%", 100.0 * (double)done / (double)total);
    else
        fprintf(stderr, "%.1f MB", (double)done / 1e6);
    if (rate > 0)
        fprintf(stderr, ", %.1f MB/s", rate / 1e6);
    if (rate > 0 && total >= done) {
        const unsigned left = (unsigned)((double)(total - done) / rate + 0.5);
        fprintf(stderr, ", %u:%02u left", left / 60, left % 60);
    }
}

void progress_done(void) {
    if (drawn)
        fputs("\r\033[K", stderr);
    drawn = false;
    first_ns = 0;
}
