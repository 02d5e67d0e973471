/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of reports share: a directory to write to, documents from templates, what holds of every page. */
#ifndef TESTS_REPORT_HELPER_H
#define TESTS_REPORT_HELPER_H

#include <jansson.h>

/* For TestSuite: `dir`, in memory where that is possible (every file is synced to its disk), is TMPDIR, too. */
extern char dir[64];
void report_setup(void);
void report_teardown(void);
char *read_file(const char *name); /* of dir */

json_t *parse(const char *text);
/* The template as JSON: ' for ", and `name` (as it stands in JSON) for NAME. */
json_t *document(const char *template, const char *name);

/* Every element that is opened is closed, in order; every attribute is quoted; no '<' is anything else. */
void assert_balanced(const char *html);
/* Every key in turn is taken away, and in turn set to something of another type: the page is still made. */
void assert_survives(json_t *doc, json_t *root);

#endif
