/* SPDX-License-Identifier: BSD-3-Clause */
/* The report's files. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <fwdlab/base/file.h>
#include "page.h"

static const char *measured_title(const struct view *v) {
    if (v->benches.n)
        return arena_printf(v->arena, v->benches.n == 1 ? "Benchmark report: %s" : "Benchmark report: %s and %zu more",
                            v->benches.v[0].name, v->benches.n - 1);
    return v->compares.n ? "Comparison report" : v->sizes.n ? "Sizing report"
           : v->curves.n ? "Cost against size" : "Forwarding report: nothing";
}

const char *page_title(const struct view *v) {
    if (!v->list.n)
        return measured_title(v);
    const char *first = v->list.v[0].name;
    return v->list.n < 2 ? arena_printf(v->arena, "Forwarding report: %s", first)
                         : arena_printf(v->arena, "Forwarding report: %zu configurations, compared with %s",
                                        v->list.n, first);
}

const char *page_lead(const struct view *v) {
    const char *title = v->list.n ? v->list.v[0].title : v->benches.n ? text_at(v->benches.v[0].doc, "scenario.title")
                                                                      : "";
    return *title ? arena_printf(v->arena, "%s. ", title) : "";
}

static int save_pictures(const struct view *v, const struct pictures *p, const char *dir, struct err *e) {
    int rc = 0;
    for (size_t i = 0; i < p->list.n && !rc; i++) {
        const char *svg = p->list.v[i].svg;
        rc = file_save(arena_printf(v->arena, "%s/%s.svg", dir, p->list.v[i].name), svg, strlen(svg), e);
    }
    return rc;
}

static int save_page(const struct view *v, const struct report_pictures *p, const char *dir, const char *name,
                     void (*page)(const struct view *, const struct report_pictures *, FILE *), struct err *e) {
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    if (!f)
        return err_set(e, -errno, "no memory for %s", name);
    page(v, p, f);
    if (fclose(f) == EOF) {
        free(text);
        return err_set(e, -ENOMEM, "no memory for %s", name);
    }
    int rc = file_save(arena_printf(v->arena, "%s/%s", dir, name), text, len, e);
    free(text);
    return rc;
}

int report_html(const struct report_document *docs, unsigned n, const char *dir, struct err *e) {
    struct report_pictures pictures = {0};
    struct view v;
    int rc = view_init(&v, docs, n, e);
    if (rc < 0)
        return rc;
    rc = dir_make(dir, e);
    if (!rc) {
        charts_draw(&v, &pictures.charts);
        charts_asked_draw(&v, &pictures.charts);
        charts_bench_draw(&v, &pictures.charts);
        charts_compare_draw(&v, &pictures.charts);
        charts_size_draw(&v, &pictures.charts);
        charts_curves_draw(&v, &pictures.charts);
        topologies_draw(&v, &pictures.topologies);
        rc = save_pictures(&v, &pictures.charts, dir, e);
    }
    if (!rc)
        rc = save_pictures(&v, &pictures.topologies, dir, e);
    if (!rc)
        rc = save_page(&v, &pictures, dir, "summary.md", page_markdown, e);
    if (!rc)
        rc = save_page(&v, &pictures, dir, "report.html", page_html, e);
    pictures_fini(&pictures.charts);
    pictures_fini(&pictures.topologies);
    view_fini(&v);
    return rc;
}
