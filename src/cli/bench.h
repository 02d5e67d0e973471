/* SPDX-License-Identifier: BSD-3-Clause */
/* What `fwdlab bench` was asked for. */
#ifndef CLI_BENCH_H
#define CLI_BENCH_H

#include <fwdlab/base/vec.h>
#include <fwdlab/dpdk/dpdk.h>
#include <fwdlab/replay/bench.h>

/* What is varied: each value with each value of the others makes a configuration. */
struct bench_workload {
    const char *sizes;         /* NULL: the trace's */
    uint32_t sessions, routes; /* 0: the trace's, the scenario's */
};
struct bench_request {
    const char *trace, *node, *out, *dir;
    const struct route_backend *backend; /* of the node under test */
    VEC(struct bench_workload) workloads;
    double churn, rest_s;
    struct topology_ports ports; /* in_tx NULL: rings */
    unsigned workers;            /* core workers */
    unsigned generators, depth;
    struct bench_options options;
    struct dpdk_options dpdk;
    bool json, hash, force, staged;
};

/* Exit code; the scenarios stand in argv from optind on. End it with bench_request_fini in any case. */
int bench_request_parse(int argc, char **argv, struct bench_request *r);
void bench_request_fini(struct bench_request *r);
extern const char bench_help[];

#endif
