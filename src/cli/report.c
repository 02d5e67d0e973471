/* SPDX-License-Identifier: BSD-3-Clause */
/* fwdlab report: result documents drawn as a page, pictures and a summary. */
#include <stdio.h>
#include <stdlib.h>
#include <fwdlab/report/report.h>
#include <fwdlab/result/document.h>
#include "cli.h"

static int run(int argc, char **argv) {
    static const struct option options[] = {{"output", required_argument, NULL, 'o'}, {0}};
    const char *dir = NULL;
    for (int c; (c = cli_option(argc, argv, options)) != -1;) {
        if (c != 'o')
            return EXIT_BAD_INPUT;
        dir = optarg;
    }
    unsigned n = (unsigned)(argc - optind);
    if (!dir || !n)
        return cli_usage("report takes result documents and -o DIR");
    struct report_document *docs = calloc(n, sizeof *docs);
    struct err e = {0};
    int code = EXIT_DONE;
    unsigned loaded = 0;
    for (; loaded < n; loaded++) {
        docs[loaded] =
            (struct report_document){argv[optind + (int)loaded], document_load(argv[optind + (int)loaded], NULL, &e)};
        if (!docs[loaded].doc)
            break;
    }
    if (loaded < n || report_html(docs, n, dir, &e))
        code = cli_fail(&e);
    else
        report_comparison_text(docs, n, stdout);
    for (unsigned i = 0; i < loaded; i++)
        json_decref(docs[i].doc);
    free(docs);
    return code;
}

const struct command command_report = {
    "report", "RESULT.json... -o DIR", "HTML page, pictures and a Markdown summary from result documents",
    "Documents of one configuration belong together; the configurations appear in the order of the documents.\n\n"
    "  -o DIR             where report.html, *.svg and summary.md go\n",
    run};
