/* SPDX-License-Identifier: BSD-3-Clause */
/* The three forms of a report. */
#ifndef FWDLAB_REPORT_PAGE_H
#define FWDLAB_REPORT_PAGE_H

#include "conclude.h"
#include "emit.h"
#include "pictures.h"
#include "view.h"

struct report_pictures {
    struct pictures charts, topologies;
};
void page_html(const struct view *v, const struct report_pictures *p, FILE *f);
void page_markdown(const struct view *v, const struct report_pictures *p, FILE *f);
/* What both are headed with: "Forwarding report: routed", "", or a sentence on what it is. */
const char *page_title(const struct view *v);
const char *page_lead(const struct view *v);
extern const char page_style[]; /* the CSS */

/* Parts of the page about benchmarks, comparisons and sizings; what no document is about writes nothing. */
void page_measured_conclusions(const struct view *v, struct out *o);
void page_measured(const struct view *v, const struct report_pictures *p, struct out *o);
void page_measured_glossary(const struct view *v, struct out *o);
/* Has the page a section of this id? */
bool page_has(const struct view *v, const char *id);

/* For the page's parts. */
void page_section(struct out *o, const char *id, const char *title);
void page_conclusion(struct out *o, struct arena *a, const char *name, const char *sub, const struct conclusion *c);
/* The pictures of a section; false: there are none. */
bool page_figures(struct out *o, const struct pictures *p, const char *section);
void page_fold(struct out *o, bool open, const char *summary);

void page_conclusions_markdown(const struct view *v, struct out *o);

#endif
