/* SPDX-License-Identifier: BSD-3-Clause */
/* Files that are written whole or not at all, and read whole. */
#ifndef FWDLAB_BASE_FILE_H
#define FWDLAB_BASE_FILE_H

#include <stddef.h>
#include <fwdlab/base/err.h>

/* Writes to a temporary file beside `path`, syncs and renames: an interrupted run never
 * replaces a good file by half a one. */
int file_save(const char *path, const void *data, size_t len, struct err *e);
/* Reads all of `path` ("-": stdin) into *data (malloc, one NUL beyond the end). */
int file_load(const char *path, char **data, size_t *len, struct err *e);
/* Makes a directory and its parents; one that exists is fine. */
int dir_make(const char *path, struct err *e);

#endif
