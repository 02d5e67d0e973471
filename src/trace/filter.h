/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Capture filters in libpcap's syntax (pcap-filter(7)): a program for each link type and byte order of the capturing
 * system, in which some link layers write (BSD's loopback).
 */
#ifndef TRACE_FILTER_H
#define TRACE_FILTER_H

#include <stdbool.h>
#include <fwdlab/trace/trace.h>

struct filter;

struct filter *trace_filter_create(const char *text);
void trace_filter_destroy(struct filter *f);
/* Compiles it for a link type, both byte orders, once; -EINVAL: it is wrong for this one. */
int filter_prepare(struct filter *f, uint16_t linktype, struct err *e);
/* Does a packet of a prepared link type pass? `swapped`: its file is in the other byte order than this machine. */
bool filter_pass(const struct filter *f, uint16_t linktype, bool swapped, const struct trace_packet *p);

#endif
