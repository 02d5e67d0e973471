/* SPDX-License-Identifier: BSD-3-Clause */
/* Any bytes as a scenario, and what loads goes on to be built: either complaints with a place, or nodes with tables. */
#include <fwdlab/control/control.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    struct complaints c = {0};
    struct scenario *s = scenario_load_text("fuzz.yaml", (const char *)data, len, &c);
    if ((s == NULL) != (c.errors > 0))
        abort();
    for (size_t i = 0; i < c.list.n; i++)
        if (!c.list.v[i].at.line || !*c.list.v[i].what)
            abort();
    const struct control_options options = {.nat_sessions = 64};
    struct err e;
    struct control *control = s ? control_build(s, &options, &e) : NULL;
    if (s && !control)
        abort();
    control_destroy(control);
    scenario_destroy(s);
    complaints_fini(&c);
    return 0;
}
