/* SPDX-License-Identifier: BSD-3-Clause */
/* Running gnuplot: script and data as files in a fresh directory, no shell, no start-up files. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <fwdlab/base/file.h>
#include "pictures.h"

extern char **environ;

/* Exit status of `gnuplot -d script` in dir; -1 with *why when it could not be started or waited for. */
static int spawn(struct arena *a, const char *dir, const char **why) {
    char *argv[] = {"gnuplot", "-d", "script", NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int status, rc;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addchdir_np(&actions, dir);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    rc = posix_spawnp(&pid, "gnuplot", &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (rc) {
        *why = arena_printf(a, "gnuplot cannot be started: %s", strerror(rc));
        return -1;
    }
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR) {
            *why = arena_printf(a, "gnuplot was lost: %s", strerror(errno));
            return -1;
        }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/* Ids are one name space in a page with several pictures: every id and every reference to one gets a prefix. */
static char *with_prefix(const char *svg, const char *name, const char *label) {
    static const char *const marks[] = {"id='", "id=\"", "href='#", "href=\"#", "url(#"};
    char *out = NULL;
    size_t size;
    FILE *f = open_memstream(&out, &size);
    const char *root = strstr(svg, "<svg");
    if (!f || !root) {
        if (f)
            fclose(f);
        free(out);
        return NULL;
    }
    fprintf(f, "<svg role=\"img\" aria-label=\"%s\"", label);
    for (svg = root + 4; *svg;) {
        size_t n = 0;
        for (size_t i = 0; i < sizeof marks / sizeof *marks && !n; i++)
            if (!strncmp(svg, marks[i], strlen(marks[i])))
                n = strlen(marks[i]);
        fwrite(svg, 1, n ? n : 1, f);
        if (n)
            fprintf(f, "%s-", name);
        svg += n ? n : 1;
    }
    fclose(f);
    return out;
}

char *gnuplot_run(struct arena *a, const char *name, const char *label, const char *script, const char *data,
                  const char **why) {
    const char *tmp = getenv("TMPDIR");
    char *dir = arena_printf(a, "%s/fwdlab-report-XXXXXX", tmp && *tmp ? tmp : "/tmp"), *svg = NULL, *out = NULL;
    struct err e = {0};
    size_t len;

    if (!mkdtemp(dir)) {
        *why = arena_printf(a, "no temporary directory %s: %s", dir, strerror(errno));
        return NULL;
    }
    const char *script_path = arena_printf(a, "%s/script", dir), *data_path = arena_printf(a, "%s/data", dir);
    const char *svg_path = arena_printf(a, "%s/out.svg", dir);
    int status = -1;
    if (file_save(script_path, script, strlen(script), &e) < 0 || file_save(data_path, data, strlen(data), &e) < 0)
        *why = arena_strdup(a, e.what);
    else
        status = spawn(a, dir, why);
    if (status > 0)
        *why = arena_printf(a, status == 127 ? "gnuplot cannot be started" : "gnuplot ended with status %d", status);
    else if (!status && file_load(svg_path, &svg, &len, &e) < 0)
        *why = arena_strdup(a, e.what);
    if (svg && !(out = with_prefix(svg, name, label)))
        *why = "gnuplot drew no SVG";
    free(svg);
    unlink(script_path);
    unlink(data_path);
    unlink(svg_path);
    rmdir(dir);
    return out;
}
