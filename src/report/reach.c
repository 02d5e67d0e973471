/* SPDX-License-Identifier: BSD-3-Clause */
/* Pairs of machines, compared with those of the first configuration and put together where they differ alike. */
#include "reach.h"
#include "table.h"

static enum reach reach_of(const json_t *pair) {
    return !true_at(pair, "works") ? REACH_NONE : true_at(pair, "translated") ? REACH_NAT : REACH_DIRECT;
}

void reach_count(const struct configuration *c, long long count[REACH_KINDS]) {
    size_t i;
    json_t *pair;
    json_array_foreach(value_at(c->analyze, "reachability"), i, pair)
        count[reach_of(pair)]++;
}

static const char *pair_key(struct arena *a, const char *from, const char *to) {
    return arena_printf(a, "%s\n%s", from, to);
}

/* The pairs of a configuration by pair_key; json_decref(). */
static json_t *pairs_of(const struct view *v, const struct configuration *c) {
    json_t *index = json_object(), *pair;
    size_t i;
    json_array_foreach(value_at(c->analyze, "reachability"), i, pair)
        json_object_set(index, pair_key(v->arena, text_at(pair, "from"), text_at(pair, "to")), pair);
    return index;
}

static enum reach_change change_of(const json_t *before, const json_t *now) {
    enum reach was = reach_of(before), is = reach_of(now);
    if (!before || was == is)
        return REACH_SAME;
    if (is == REACH_NONE || was == REACH_NONE)
        return is == REACH_NONE ? REACH_LOST : REACH_GAINED;
    return is == REACH_NAT ? REACH_TRANSLATED : REACH_UNTRANSLATED;
}

static const char *why(struct arena *a, const json_t *pair) {
    const char *reason = text_at(pair, "reason"), *at = text_at(pair, "at");
    if (!*reason)
        reason = verdict_label(text_at(pair, "verdict"));
    return *at ? arena_printf(a, "%s at %s", reason, at) : reason;
}

/* "a, b and c": the keys of an object. */
static const char *keys_text(struct arena *a, const json_t *object) {
    const char *out = "", *key;
    size_t i = 0, n = json_object_size(object);
    json_t *value;
    json_object_foreach((json_t *)object, key, value) {
        out = arena_printf(a, "%s%s%s", out, !i ? "" : i == n - 1 ? " and " : ", ", key);
        i++;
    }
    return out;
}

/* The object at a key, made when it is not there. */
static json_t *object_of(json_t *object, const char *key) {
    if (!json_object_get(object, key))
        json_object_set_new(object, key, json_object());
    return json_object_get(object, key);
}

/* { from: { to: pair } } of the pairs that changed so; json_decref(). */
static json_t *changed(const struct view *v, const struct configuration *c, enum reach_change change) {
    json_t *before = pairs_of(v, &v->list.v[0]), *out = json_object(), *pair;
    size_t i;
    json_array_foreach(value_at(c->analyze, "reachability"), i, pair) {
        const char *from = text_at(pair, "from"), *to = text_at(pair, "to");
        if (change_of(json_object_get(before, pair_key(v->arena, from, to)), pair) == change)
            json_object_set(object_of(out, from), to, pair);
    }
    json_decref(before);
    return out;
}

static const char *group_text(struct arena *a, enum reach_change change, const json_t *group, const char *whom) {
    json_t *whys = json_object(), *pairs, *pair;
    const char *from, *to, *who = keys_text(a, group), *out;
    bool one_from = json_object_size(group) == 1, one_to = true;
    json_object_foreach((json_t *)group, from, pairs) {
        one_to = json_object_size(pairs) == 1;
        json_object_foreach(pairs, to, pair)
            json_object_set_new(whys, why(a, pair), json_true());
    }
    const char *reach = one_from ? "reaches" : "reach";
    if (change == REACH_LOST)
        out = arena_printf(a, "%s cannot reach %s by %s own address (%s)", who, whom, one_to ? "its" : "their",
                           keys_text(a, whys));
    else if (change == REACH_TRANSLATED)
        out = arena_printf(a, "%s %s %s only through NAT (translated)", who, reach, whom);
    else
        out = arena_printf(a, change == REACH_UNTRANSLATED ? "%s %s %s without NAT" : "%s %s %s", who, reach, whom);
    json_decref(whys);
    return out;
}

const char *reach_changes(const struct view *v, const struct configuration *c, enum reach_change change) {
    json_t *by_from = changed(v, c, change), *groups = json_object(), *pairs, *group; /* { "c and d": { a:, b: } } */
    const char *from, *whom, *out = "";
    json_object_foreach(by_from, from, pairs)
        json_object_set(object_of(groups, keys_text(v->arena, pairs)), from, pairs);
    json_object_foreach(groups, whom, group)
        out = arena_printf(v->arena, "%s%s%s", out, *out ? "; " : "", group_text(v->arena, change, group, whom));
    json_decref(groups);
    json_decref(by_from);
    return *out ? arena_printf(v->arena, "Unlike in %s, %s.", v->list.v[0].name, out) : "";
}

const char *reach_sharers(const struct view *v, size_t i) {
    const json_t *mine = value_at(v->list.v[i].analyze, "reachability");
    const char *names = json_array_size(mine) ? v->list.v[i].name : "";
    for (size_t k = 0; k < v->list.n && *names; k++)
        if (k != i && json_equal((json_t *)mine, (json_t *)value_at(v->list.v[k].analyze, "reachability")))
            names = k < i ? "" : arena_printf(v->arena, "%s, %s", names, v->list.v[k].name);
    return names;
}

static void cell_reach(struct table *t, const json_t *before, const json_t *pair) {
    static const enum tone tones[] = {TONE_NONE, TONE_BAD, TONE_GOOD, TONE_WARN, TONE_INFO};
    enum tone tone = tones[change_of(before, pair)];
    const char *from = text_at(pair, "from"), *to = text_at(pair, "to"), *reason = text_at(pair, "reason");
    if (!pair) {
        table_cell(t, TONE_NONE, "\xc2\xb7");
        return;
    }
    if (reach_of(pair) == REACH_NONE) {
        table_cell(t, tone, "\xe2\x9c\x97 %s", *reason ? reason : verdict_label(text_at(pair, "verdict")));
        table_title(t, "%s to %s: %s", from, to, why(t->arena, pair));
    } else {
        bool nat = reach_of(pair) == REACH_NAT;
        table_cell(t, tone, nat ? "NAT" : "\xe2\x9c\x93");
        table_title(t, "%s to %s: %s%s", from, to, nat ? "translated, " : "", verdict_label(text_at(pair, "verdict")));
    }
}

void table_reach(const struct view *v, const struct configuration *c, struct out *o) {
    struct table t = {.arena = v->arena, .caption = arena_printf(v->arena, "Who reaches whom: %s", c->name)};
    json_t *before = pairs_of(v, &v->list.v[0]), *now = pairs_of(v, c), *names = json_object(), *value;
    const char *from, *to;
    size_t i;
    void *tmp;
    table_column(&t, false, "From \\ to");
    json_array_foreach(value_at(c->analyze, "reachability"), i, value)
        json_object_set_new(names, text_at(value, "from"), json_true());
    json_array_foreach(value_at(c->analyze, "reachability"), i, value)
        json_object_set_new(names, text_at(value, "to"), json_true());
    json_object_foreach(names, to, value)
        table_column(&t, false, arena_strdup(v->arena, to));
    json_object_foreach_safe(names, tmp, from, value) {
        table_cell(&t, TONE_NONE, "%s", from);
        for (i = 1; i < t.columns.n; i++) {
            const char *key = pair_key(v->arena, from, t.columns.v[i].title);
            cell_reach(&t, json_object_get(before, key), json_object_get(now, key));
        }
    }
    json_decref(before);
    json_decref(now);
    json_decref(names);
    table_emit(&t, o);
}
