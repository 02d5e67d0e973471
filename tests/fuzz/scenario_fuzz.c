/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as a scenario, and what loads goes on to be built, in spite of faults too: either complaints with a place,
 * or nodes with tables, and an address plan. The words of the format: -dict=tests/fuzz/scenario.dict
 */
#include <fwdlab/control/control.h>
#include <fwdlab/scenario/plan.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    struct complaints c = {0};
    struct scenario *s = scenario_load_text_forced("fuzz.yaml", (const char *)data, len, &c);
    if ((s == NULL) != (c.errors > c.faults) || (s && s->forced != (c.errors > 0)))
        abort();
    for (size_t i = 0; i < c.list.n; i++)
        if (!c.list.v[i].at.line || !*c.list.v[i].what)
            abort();
    const struct control_options options = {.nat_sessions = 64};
    struct err e;
    struct control *control = s ? control_build(s, &options, &e) : NULL;
    if (s && !control)
        abort();
    struct plan plan = {0};
    if (s)
        plan_init(&plan, s);
    plan_fini(&plan);
    control_destroy(control);
    scenario_destroy(s);
    complaints_fini(&c);
    return 0;
}
