/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>
#include "cli.h"
#include "config.h"

static const struct command *const commands[] = {
    &command_check, &command_explain, &command_analyze,
#if FWDLAB_DPDK
    &command_replay, &command_bench,
#endif
    &command_compare, &command_size, &command_report, &command_anonymize,
};
#define N_COMMANDS (sizeof commands / sizeof *commands)

static void usage(FILE *out) {
    fputs("usage: fwdlab COMMAND [OPTION...] [ARGUMENT...]\n\n", out);
    for (size_t i = 0; i < N_COMMANDS; i++)
        fprintf(out, "  %-9s %-34s %s\n", commands[i]->name, commands[i]->arguments, commands[i]->about);
    fputs("\n`fwdlab COMMAND --help` tells a command's options; `fwdlab --version` the version.\n", out);
}

static void help(const struct command *c) {
    printf("usage: fwdlab %s %s\n\n%s.\n\n%s", c->name, c->arguments, c->about, c->help);
}

int main(int argc, char **argv) {
    if (argc < 2) {
        usage(stderr);
        return EXIT_BAD_INPUT;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        usage(stdout);
        return EXIT_DONE;
    }
    if (!strcmp(argv[1], "--version")) {
        puts("fwdlab " FWDLAB_VERSION);
        return EXIT_DONE;
    }
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (strcmp(argv[1], commands[i]->name))
            continue;
        for (int k = 2; k < argc; k++)
            if (!strcmp(argv[k], "--help") || !strcmp(argv[k], "-h")) {
                help(commands[i]);
                return EXIT_DONE;
            }
        argv[1] = (char *)"fwdlab";
        int code = commands[i]->run(argc - 1, argv + 1);
        if (fflush(stdout) || ferror(stdout)) {
            fputs("fwdlab: cannot write to stdout\n", stderr);
            return EXIT_BAD_INPUT;
        }
        return code;
    }
    fprintf(stderr, "fwdlab: no command `%s`\n", argv[1]);
    usage(stderr);
    return EXIT_BAD_INPUT;
}
