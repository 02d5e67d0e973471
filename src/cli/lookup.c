/* SPDX-License-Identifier: BSD-3-Clause */
/* The lookup backends by their names on the command line. */
#include "cli.h"
#include <fwdlab/dpdk/dpdk.h>
#include <string.h>

int cli_lookup(const char *name, const struct route_backend **backend) {
    static const struct {
        const char *name;
        const struct route_backend *backend;
    } all[] = {{"dir24-8", &route_direct}, {"rte_fib", &route_dir24_8}, {"trie", &route_trie}};
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(name, all[i].name) == 0) {
            *backend = all[i].backend;
            return 0;
        }
    return cli_usage("--lookup is dir24-8, rte_fib or trie, not `%s`", name);
}
