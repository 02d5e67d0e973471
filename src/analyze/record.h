/* SPDX-License-Identifier: BSD-3-Clause */
/* What record.c and the two forms share. */
#ifndef ANALYZE_RECORD_H
#define ANALYZE_RECORD_H

#include <fwdlab/analyze/record.h>
#include <fwdlab/base/file.h>

struct ipfix;

struct record_writer {
    struct file_draft file;
    struct ipfix *ipfix; /* NULL: CSV */
};

void csv_begin(struct file_draft *f);
void csv_write(struct file_draft *f, const struct flow_record *r);

struct ipfix *ipfix_begin(struct file_draft *f);
void ipfix_write(struct ipfix *x, const struct flow_record *r);
/* Writes what is still held back. */
void ipfix_end(struct ipfix *x);
void ipfix_free(struct ipfix *x);

#endif
