/* SPDX-License-Identifier: BSD-3-Clause */
/* The Markdown summary. */
#include "conclude.h"
#include "page.h"
#include "tables.h"

void page_markdown(const struct view *v, const struct report_pictures *p, FILE *f) {
    struct out o = {f, MARKUP_MARKDOWN};
    const struct pictures *const sets[] = {&p->charts, &p->topologies};
    emit(&o, "# %s\n\n", page_title(v));
    for (size_t i = 0; i < v->list.n; i++) {
        struct conclusion c;
        conclude(v, &v->list.v[i], 4, &c);
        emit(&o, "## %s: %s\n\n", v->list.v[i].name, c.state);
        for (size_t k = 0; k < c.lines.n; k++)
            emit(&o, "- **%s:** %s\n", c.lines.v[k].label, c.lines.v[k].text);
        emit(&o, "\n");
        conclusion_fini(&c);
    }
    emit(&o, "## Comparison\n\n");
    table_comparison(v, &o);
    table_verdicts(v, "model", "Flows by the model's verdict", &o);
    table_verdicts(v, "observed", "Flows by what the capture shows", &o);
    table_verdicts(v, "nat", "Flows by what NAT did to them", &o);
    table_drops(v, "dropped", "Packets dropped at the node under test, by reason", &o);
    table_drops(v, "dropped_elsewhere", "Packets dropped by the model's other nodes, by reason", &o);
    table_drops(v, "icmp_errors", "ICMP errors sent to senders, by what they are about", &o);
    table_hidden(v, &o);
    table_stages(v, &o);
    table_noise(v, &o);
    emit(&o, "## Pictures\n\n");
    if (p->charts.missing)
        emit(&o, "Charts are left out: %s.\n\n", p->charts.missing);
    for (size_t s = 0; s < 2; s++)
        for (size_t i = 0; i < sets[s]->list.n; i++)
            emit(&o, "![%s](%s.svg)\n\n", sets[s]->list.v[i].caption, sets[s]->list.v[i].name);
}
