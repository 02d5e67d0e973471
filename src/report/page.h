/* SPDX-License-Identifier: BSD-3-Clause */
/* The three forms of a report. */
#ifndef FWDLAB_REPORT_PAGE_H
#define FWDLAB_REPORT_PAGE_H

#include "emit.h"
#include "pictures.h"
#include "view.h"

struct report_pictures {
    struct pictures charts, topologies;
};
void page_html(const struct view *v, const struct report_pictures *p, FILE *f);
void page_markdown(const struct view *v, const struct report_pictures *p, FILE *f);
/* What both are headed with. */
const char *page_title(const struct view *v);
extern const char page_style[]; /* the CSS */

#endif
