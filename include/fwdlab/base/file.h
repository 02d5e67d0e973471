/* SPDX-License-Identifier: BSD-3-Clause */
/* Files that are written whole or not at all, and read whole. */
#ifndef FWDLAB_BASE_FILE_H
#define FWDLAB_BASE_FILE_H

#include <stddef.h>
#include <stdio.h>
#include <fwdlab/base/err.h>

/*
 * A file that grows piece by piece: written to a temporary one beside `path`, which takes its name once it is whole and
 * synced. Devices and pipes are written to directly.
 */
struct file_draft {
    int error; /* the first one, -errno: nothing is written after it, and closing returns it */
    FILE *file; /* this and the following: file.c's own */
    char *path, *target, *temporary;
};
int file_draft_open(struct file_draft *d, const char *path, struct err *e);
int file_draft_write(struct file_draft *d, const void *data, size_t len); /* buffered; returns d->error */
/* Both free the draft. */
int file_draft_close(struct file_draft *d, struct err *e);
void file_draft_abandon(struct file_draft *d);

/* Writes all of it through a draft: an interrupted run never replaces a good file by half a one. */
int file_save(const char *path, const void *data, size_t len, struct err *e);
/* Reads all of `path` ("-": stdin) into *data (malloc, one NUL beyond the end). */
int file_load(const char *path, char **data, size_t *len, struct err *e);
/* Makes a directory and its parents; one that exists is fine. */
int dir_make(const char *path, struct err *e);

#endif
