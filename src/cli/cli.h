/* SPDX-License-Identifier: BSD-3-Clause */
/* What the subcommands share: loading, complaining, exit codes. Only src/cli prints, exits
 * and wires modules together. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <fwdlab/base/err.h>
#include <fwdlab/control/control.h>
#include <fwdlab/inject/inject.h>
#include <fwdlab/result/document.h>

enum { EXIT_DONE = 0, EXIT_FINDING = 1, EXIT_BAD_INPUT = 2, EXIT_INVALID = 3, EXIT_INTERRUPTED = 130 };

struct command {
    const char *name, *arguments, *about, *help;
    int (*run)(int argc, char **argv);
};

extern const struct command command_check, command_explain, command_analyze, command_anonymize, command_replay,
    command_bench, command_size, command_report, command_compare;

/* "fwdlab: where: what" and "  hint" on stderr; returns EXIT_BAD_INPUT. */
int cli_fail(const struct err *e);
int cli_usage(const char *what, ...) __attribute__((format(printf, 1, 2)));
/* getopt_long over options that are all listed in the command's help; '?' was complained about. */
int cli_option(int argc, char **argv, const struct option *options);

void cli_complaints_print(const struct complaints *c, enum severity least);
json_t *cli_complaints_json(const struct complaints *c);

/* A scenario with tables of its own for the node under test, whose name is `node` (NULL: as the scenario says). */
struct setup {
    struct scenario *scenario;
    struct complaints complaints; /* that did not stop it */
    struct control *control;
    uint32_t node;
};
/* Loads a scenario; prints the errors that stop it. `force`: faults of the design do not stop it, and are printed.
 * `s` is zero or loaded afterwards: cli_setup_fini frees either. */
int cli_load(struct setup *s, const char *path, bool force, struct err *e);
int cli_setup(struct setup *s, const char *path, const char *node, bool force, struct err *e);
/* The tables made anew; control_destroy them first. `sizes` as in cli_setup_sized. */
int cli_setup_build(struct setup *s, const struct control_options *sizes, struct err *e);
/* With room for more than the scenario's own: `sizes` (its fast_node is set here). */
int cli_setup_sized(struct setup *s, const char *path, const char *node, bool force,
                    const struct control_options *sizes, struct err *e);
void cli_setup_fini(struct setup *s);
/* lookup.c: the backend that --lookup names; else an exit code, and it was said. */
int cli_lookup(const char *name, const struct route_backend **backend);
/* That a scenario has no capture of its own, and none was given. */
void cli_no_trace(const struct setup *s, struct err *e);
/* The capture as it meets the node; `path` NULL: the scenario's own. `used` gets the path. */
struct inject *cli_inject(const struct setup *s, const char *path, const char **used, struct err *e);

/* check_nat.c: the behaviours of a NAT, as lines on stdout and as an object with the scenario's keys. */
void cli_nat_print(const struct scenario *s, const struct scenario_nat *nat);
json_t *cli_nat_json(const struct scenario *s, const struct scenario_nat *nat);

/* From now on true after Ctrl-C (SIGINT or SIGTERM); a second one ends the program. */
const volatile bool *cli_interruptible(void);

/* "scenario": { name, title, path, node } */
json_t *cli_scenario_json(const struct setup *s);
/* One line a packet: frame,verdict,reason,in,out,proto,src,sport,dst,dport, in how many fragments it left, the ICMP
 * error about it (type/code) and where that left. */
int cli_packets_save(const char *path, const struct inject_verdict *v, size_t n, const struct control_node *node,
                     struct err *e);
/* Prints a document on stdout (json) or saves it (`out`, NULL: not); returns an exit code. */
int cli_document_done(json_t *doc, bool json, const char *out);
int cli_document_rows_done(json_t *doc, const struct document_rows *rows, bool json, const char *out);

#endif
