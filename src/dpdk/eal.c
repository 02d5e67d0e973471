/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * EAL, started with what the machine has. One lcore: the caller's thread, which stays on the main CPU. What
 * EAL says while it starts is caught, and told when it fails.
 */
#include "eal.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fwdlab/dpdk/dpdk.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>
#include <rte_version.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define DEFAULT_MEMORY_MB 2048
#define ARGS_MAX 12
#define NO_DEVICE "ffff:ff:1f.7" /* allowed alone: EAL takes no PCI device before it is told to */

static enum { EAL_OFF, EAL_RUNS, EAL_GONE } state; /* EAL starts once in a process, even after a failure */
static char hugepages[160];

bool dpdk_running(void) {
    return state == EAL_RUNS;
}

static uint64_t read_number(const char *dir, const char *file) {
    char path[384];
    unsigned long long n = 0;
    snprintf(path, sizeof path, "/sys/kernel/mm/hugepages/%s/%s", dir, file);
    FILE *f = fopen(path, "re");
    if (f && fscanf(f, "%llu", &n) != 1)
        n = 0;
    if (f)
        fclose(f);
    return n;
}

/* Describes the free hugepages in `hugepages`; returns how many MB they are. */
static uint64_t free_hugepages(void) {
    uint64_t kb = 0;
    size_t used = 0;
    DIR *d = opendir("/sys/kernel/mm/hugepages");
    for (struct dirent *entry; d && (entry = readdir(d));) {
        unsigned long size;
        if (sscanf(entry->d_name, "hugepages-%lukB", &size) != 1)
            continue;
        uint64_t free = read_number(entry->d_name, "free_hugepages");
        kb += size * free;
        if (free && used < sizeof hugepages)
            used += (size_t)snprintf(hugepages + used, sizeof hugepages - used, "%s%lu kB x %llu", used ? ", " : "",
                                     size, (unsigned long long)free);
    }
    if (d)
        closedir(d);
    return kb / 1024;
}

void dpdk_catch_stderr(struct dpdk_caught *c) {
    fflush(stderr);
    c->saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    c->file = memfd_create("eal-log", MFD_CLOEXEC);
    if (c->saved >= 0 && c->file >= 0)
        dup2(c->file, STDERR_FILENO);
}

void dpdk_release_stderr(struct dpdk_caught *c, char *text, size_t size) {
    fflush(stderr);
    if (c->saved >= 0) {
        dup2(c->saved, STDERR_FILENO);
        close(c->saved);
    }
    off_t end = c->file < 0 ? 0 : lseek(c->file, 0, SEEK_END);
    off_t from = end > (off_t)size - 1 ? end - ((off_t)size - 1) : 0;
    ssize_t n = c->file < 0 ? 0 : pread(c->file, text, size - 1, from);
    if (c->file >= 0)
        close(c->file);
    while (n > 0 && text[n - 1] == '\n')
        n--;
    text[n > 0 ? n : 0] = '\0';
    for (char *p = text; (p = strchr(p, '\n'));)
        *p = ';';
}

static int check_cpu(unsigned cpu, struct err *e) {
    cpu_set_t usable;
    char list[128];
    size_t used = 0;
    if (sched_getaffinity(0, sizeof usable, &usable))
        return err_set(e, -errno, "cannot tell which CPUs are usable: %s", strerror(errno));
    if (cpu < CPU_SETSIZE && CPU_ISSET(cpu, &usable))
        return 0;
    for (unsigned i = 0; i < CPU_SETSIZE && used < sizeof list; i++)
        if (CPU_ISSET(i, &usable))
            used += (size_t)snprintf(list + used, sizeof list - used, " %u", i);
    err_set(e, -EINVAL, "CPU %u is not usable by this process", cpu);
    err_hint(e, "one of:%s", list);
    return -EINVAL;
}

/* EAL itself takes more than there is, and crashes later. */
static int check_memory(unsigned wanted_mb, struct err *e) {
    uint64_t mb = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) >> 20;
    if (wanted_mb <= mb)
        return 0;
    err_set(e, -ENOMEM, "%u MB for EAL are more than this machine has", wanted_mb);
    err_hint(e, "at most %lu MB", (unsigned long)mb);
    return -ENOMEM;
}

int dpdk_start(const struct dpdk_options *o, struct err *e) {
    char memory[16], lcores[32], said[400];
    char *argv[ARGS_MAX] = {"fwdlab", "--no-telemetry", "--iova-mode=va", "--lcores", lcores};
    const unsigned wanted = o->memory_mb ? o->memory_mb : DEFAULT_MEMORY_MB;
    struct dpdk_caught caught;
    int argc = 5, rc;

    if (state != EAL_OFF)
        return err_set(e, -EALREADY, "EAL was started before in this process");
    if ((rc = check_cpu(o->main_cpu, e)) || (rc = check_memory(wanted, e)))
        return rc;
    snprintf(lcores, sizeof lcores, "0@%u", o->main_cpu);
    argv[argc++] = o->pci ? "--allow=" NO_DEVICE : "--no-pci";
    if (!o->no_huge && free_hugepages() >= (o->hugepages_mb ? o->hugepages_mb : wanted)) {
        argv[argc++] = "--in-memory";
    } else {
        snprintf(hugepages, sizeof hugepages,
                 "none: ordinary pages, and transparent ones for DIR24-8 where the kernel gives them");
        snprintf(memory, sizeof memory, "%u", wanted);
        argv[argc++] = "--no-huge";
        argv[argc++] = "--no-shconf";
        argv[argc++] = "-m";
        argv[argc++] = memory;
    }
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq"))
        argv[argc++] = "--force-max-simd-bitwidth=512";

    dpdk_catch_stderr(&caught);
    rte_openlog_stream(stderr);
    rc = rte_eal_init(argc, argv);
    int error = rte_errno;
    dpdk_release_stderr(&caught, said, sizeof said);
    state = rc < 0 ? EAL_GONE : EAL_RUNS;
    if (rc < 0) {
        err_set(e, error ? -error : -EIO, "EAL does not start: %s", said);
        err_hint(e, "less memory than %u MB, or ordinary pages instead of hugepages", wanted);
        return error ? -error : -EIO;
    }
    rte_log_set_global_level(0);
    return 0;
}

void dpdk_stop(void) {
    if (state == EAL_RUNS)
        rte_eal_cleanup();
    if (state != EAL_OFF)
        state = EAL_GONE;
}

const char *dpdk_version(void) {
    return rte_version();
}

bool dpdk_has_hugepages(void) {
    return rte_eal_has_hugepages();
}

const char *dpdk_hugepages(void) {
    return hugepages;
}
