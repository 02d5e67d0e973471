/* SPDX-License-Identifier: BSD-3-Clause */
/* Sentences on what stands beside the verdicts: another scenario, NAT's ports, a second capture point. */
#include <string.h>
#include <math.h>
#include "conclude.h"

#define CHANGES_TOLD 2

/* The first changes that break flows (or mend them), in their own words. */
static void say_changes(struct arena *a, const json_t *what, bool broken, struct conclusion *out) {
    const char *once = broken ? "works_before" : "works_after", *no_more = broken ? "works_after" : "works_before";
    unsigned told = 0;
    size_t i;
    json_t *x;
    json_array_foreach(value_at(what, "flows.changed"), i, x)
        if (true_at(x, once) && !true_at(x, no_more) && strcmp(text_at(x, "from"), "unmodelled") &&
            strcmp(text_at(x, "to"), "unmodelled") && told++ < CHANGES_TOLD)
            say(out, "Changes", TONE_NONE, sentence(a, text_at(x, "text")));
}

static void say_what_if(struct arena *a, const json_t *analyze, struct conclusion *out) {
    const json_t *what = value_at(analyze, "what_if");
    long long mended = count_at(what, "mended"), broken = count_at(what, "broken");
    if (!json_is_object(what))
        return;
    say(out, "What if", broken ? TONE_BAD : mended ? TONE_GOOD : TONE_NONE,
        arena_printf(a, "With %s instead, %s flows that do not work would, and %s that work would not; %s of %s flows "
                     "get the same verdict.", text_at(what, "scenario.name"), mended ? count_text(a, mended) : "no",
                     broken ? count_text(a, broken) : "none", count_text(a, count_at(what, "flows.same")),
                     count_text(a, count_at(analyze, "flows.total"))));
    say_changes(a, what, true, out);
    say_changes(a, what, false, out);
}

/* Clients that had all they may have: the one that was refused most. */
static void say_refused(struct arena *a, const json_t *analyze, struct conclusion *out) {
    const long long refused = count_at(analyze, "nat.use.refused.client");
    const json_t *worst = NULL;
    size_t i;
    json_t *x;
    json_array_foreach(value_at(analyze, "nat.use.clients"), i, x)
        if (count_at(x, "refused") > count_at(worst, "refused"))
            worst = x;
    if (!refused)
        return;
    const char *who = worst ? arena_printf(a, "; %s most, since %s (%s)", text_at(worst, "client"),
                                           moment_text(a, text_at(analyze, "epoch_ns"),
                                                       number_at(worst, "first_refused_ns")),
                                           offset_text(a, number_at(worst, "first_refused_ns"))) : "";
    say(out, "NAT limits", TONE_WARN, arena_printf(a, "%s packets were refused because their client had all ports or "
                                                   "sessions that it may have%s.", count_text(a, refused), who));
}

static void say_use(struct arena *a, const json_t *analyze, struct conclusion *out) {
    const json_t *ends = value_at(analyze, "nat.use.runs_out");
    const char *basis = text_at(ends, "basis"), *pool = text_at(ends, "pool");
    const double at = number_or_nan(value_at(ends, "at_ns"));
    say_refused(a, analyze, out);
    if (isfinite(at))
        say(out, "NAT ports", true_at(ends, "happened") ? TONE_BAD : TONE_WARN,
            sentence(a, arena_printf(a, "The outside ports%s%s %s at %s (%s)%s%s", *pool ? " for " : "", pool,
                                     true_at(ends, "happened") ? "ran out" : "would run out",
                                     moment_text(a, text_at(analyze, "epoch_ns"), at), offset_text(a, at),
                                     *basis ? ": " : "", basis)));
}

static void say_points(struct arena *a, const json_t *analyze, struct conclusion *out) {
    const json_t *p = value_at(analyze, "points"), *offset = value_at(p, "offset_ns");
    if (!json_is_object(p))
        return;
    const size_t flows = json_array_size(value_at(p, "pairs"));
    const char *clocks = "; nothing tells how their clocks differ";
    if (json_is_number(offset))
        clocks = arena_printf(a, "; the outside clock is %s %s (\xc2\xb1 %s)",
                              duration_text(a, fabs(json_number_value(offset))),
                              json_number_value(offset) < 0 ? "behind" : "ahead",
                              duration_text(a, number_at(p, "offset_width_ns")));
    say(out, "Two points", TONE_NONE,
        arena_printf(a, "Of %s and %s %s packets were joined, %s of them proved by their checksum; %zu flow%s on both "
                     "sides%s.", text_at(p, "inside"), text_at(p, "outside"), count_text(a, count_at(p, "joined")),
                     count_text(a, count_at(p, "proved")), flows, flows == 1 ? "" : "s", clocks));
}

void say_asked(struct arena *a, const json_t *analyze, struct conclusion *out) {
    say_what_if(a, analyze, out);
    say_use(a, analyze, out);
    say_points(a, analyze, out);
}
