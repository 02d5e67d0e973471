/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The topology in columns: what is behind a switch to the left of the node under test, the gateways to its right,
 * and what lies behind them further right. Gateways of one network share a column and a frame, which stands for the
 * links among them. More than NODES_MAX nodes are not drawn.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "emit.h"
#include "pictures.h"

enum { BOX_W = 168, GAP_X = 84, GAP_Y = 18, MARGIN = 24, LINE = 17, FRAME = 14, NODES_MAX = 200, UNPLACED = 1 << 20 };

struct spot {
    const char *name, *kind;
    const json_t *json;
    int column;       /* from the node under test, negative to the left; or UNPLACED */
    double order;     /* where it would like to be in its column, 0..1 */
    int x, y, h;
};
struct drawing {
    struct arena *arena;
    struct spot *spots;
    size_t n;
    const json_t *links;
    int width, height;
};

static bool is_gateway(const struct spot *s) {
    return !strcmp(s->kind, "gateway") && strchr(s->name, '/');
}

static bool same_network(const struct spot *a, const struct spot *b) {
    size_t n = strcspn(a->name, "/");
    return is_gateway(a) && is_gateway(b) && n == strcspn(b->name, "/") && !strncmp(a->name, b->name, n);
}

/* A node; for a network, whose gateways' frame it is, the first of these. */
static struct spot *spot_find(const struct drawing *d, const char *name) {
    size_t length = strlen(name);
    for (size_t i = 0; i < d->n; i++)
        if (!strcmp(d->spots[i].name, name))
            return &d->spots[i];
    for (size_t i = 0; i < d->n; i++)
        if (is_gateway(&d->spots[i]) && !strncmp(d->spots[i].name, name, length) && d->spots[i].name[length] == '/')
            return &d->spots[i];
    return NULL;
}

static bool is_frame(const struct drawing *d, const char *name) {
    const struct spot *s = spot_find(d, name);
    return s && strcmp(s->name, name) != 0;
}

/* Both ends of a link; false when one of them is no node, or when a frame stands for it. */
static bool link_ends(const struct drawing *d, const json_t *link, struct spot **a, struct spot **b) {
    *a = spot_find(d, text_at(link, "a"));
    *b = spot_find(d, text_at(link, "b"));
    return *a && *b && *a != *b && !same_network(*a, *b);
}

/* Widens the placed part by one round; false when nothing was left to place. */
static bool spread(struct drawing *d) {
    bool placed = false;
    size_t i;
    json_t *link;
    struct spot *a, *b;
    json_array_foreach(d->links, i, link) {
        if (!link_ends(d, link, &a, &b))
            continue;
        if (b->column != UNPLACED) {
            struct spot *swap = a;
            a = b;
            b = swap;
        }
        if (a->column == UNPLACED || b->column != UNPLACED)
            continue;
        bool left = a->column < 0 || (a->column == 0 && !strcmp(b->kind, "switch"));
        b->column = a->column + (left ? -1 : 1);
        placed = true;
        for (size_t k = 0; k < d->n; k++) /* the network comes as a whole */
            if (d->spots[k].column == UNPLACED && same_network(&d->spots[k], b))
                d->spots[k].column = b->column;
    }
    return placed;
}

static void place_columns(struct drawing *d) {
    struct spot *start = NULL;
    for (size_t i = 0; i < d->n; i++)
        if (true_at(d->spots[i].json, "under_test"))
            start = &d->spots[i];
    if (!start)
        start = &d->spots[0];
    start->column = 0;
    while (spread(d))
        ;
    int left = 0, right = 0;
    for (size_t i = 0; i < d->n; i++)
        if (d->spots[i].column != UNPLACED) {
            left = d->spots[i].column < left ? d->spots[i].column : left;
            right = d->spots[i].column > right ? d->spots[i].column : right;
        }
    for (size_t i = 0; i < d->n; i++) /* what hangs on nothing stands at the far right */
        d->spots[i].column = (d->spots[i].column == UNPLACED ? right + 1 : d->spots[i].column) - left;
}

static int compare_spots(const void *a, const void *b) {
    const struct spot *x = a, *y = b;
    if (x->column != y->column)
        return x->column - y->column;
    return x->order != y->order ? (x->order > y->order) - (x->order < y->order) : strcmp(x->name, y->name);
}

/* Each node moves towards the middle of its neighbours in other columns; a few rounds untangle most crossings. */
static void place_rows(struct drawing *d) {
    for (size_t i = 0; i < d->n; i++)
        d->spots[i].order = (double)i / (double)d->n;
    for (int round = 0; round < 8; round++) {
        qsort(d->spots, d->n, sizeof *d->spots, compare_spots);
        double *sum = xzalloc(d->n, sizeof *sum);
        unsigned *count = xzalloc(d->n, sizeof *count);
        for (size_t i = 0, first = 0; i < d->n; i++) { /* ranks within the columns */
            if (i && d->spots[i].column != d->spots[i - 1].column)
                first = i;
            size_t last = i;
            while (last + 1 < d->n && d->spots[last + 1].column == d->spots[i].column)
                last++;
            d->spots[i].order = ((double)(i - first) + 0.5) / (double)(last - first + 1);
        }
        size_t k;
        json_t *link;
        struct spot *a, *b;
        json_array_foreach(d->links, k, link) {
            if (!link_ends(d, link, &a, &b) || a->column == b->column)
                continue;
            sum[a - d->spots] += b->order;
            sum[b - d->spots] += a->order;
            count[a - d->spots]++;
            count[b - d->spots]++;
        }
        for (size_t i = 0; i < d->n; i++)
            if (count[i])
                d->spots[i].order = 0.3 * d->spots[i].order + 0.7 * sum[i] / count[i];
        free(sum);
        free(count);
    }
    qsort(d->spots, d->n, sizeof *d->spots, compare_spots);
}

static void place(struct drawing *d) {
    int *heights = xzalloc(d->n + 1, sizeof *heights), columns = 0; /* a column more for what hangs on nothing */
    place_columns(d);
    place_rows(d);
    for (size_t i = 0; i < d->n; i++) {
        struct spot *s = &d->spots[i];
        size_t lines = 2 + json_array_size(value_at(s->json, "addresses"));
        columns = s->column + 1 > columns ? s->column + 1 : columns;
        s->h = (int)(lines > 5 ? 5 : lines) * LINE + 14;
        s->y = heights[s->column];
        s->x = MARGIN + s->column * (BOX_W + GAP_X);
        heights[s->column] += s->h + GAP_Y;
        d->height = heights[s->column] > d->height ? heights[s->column] : d->height;
    }
    d->width = 2 * MARGIN + columns * (BOX_W + GAP_X) - GAP_X;
    for (size_t i = 0; i < d->n; i++) /* every column is centred; room above for the frames' titles */
        d->spots[i].y += (d->height - heights[d->spots[i].column]) / 2 + MARGIN + LINE;
    d->height += 2 * MARGIN + LINE;
    free(heights);
}

/* How far the frame around a gateway's network reaches; false when another of its gateways comes first. */
static bool frame_span(const struct drawing *d, const struct spot *s, int *top, int *bottom) {
    bool first = true;
    *top = s->y;
    *bottom = s->y + s->h;
    for (const struct spot *k = d->spots; k < d->spots + d->n; k++) {
        if (!same_network(s, k) || k->column != s->column)
            continue;
        first &= k >= s;
        *top = k->y < *top ? k->y : *top;
        *bottom = k->y + k->h > *bottom ? k->y + k->h : *bottom;
    }
    return first;
}

static void draw_frames(const struct drawing *d, struct out *o) {
    for (size_t i = 0; i < d->n; i++) {
        const struct spot *s = &d->spots[i];
        int top, bottom;
        if (!is_gateway(s) || !frame_span(d, s, &top, &bottom))
            continue;
        char *network = arena_strdup(d->arena, s->name);
        network[strcspn(network, "/")] = 0;
        emit(o, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"12\" fill=\"#f3f6f9\" stroke=\"#8a97a5\" "
             "stroke-dasharray=\"5 4\"/>\n<text x=\"%d\" y=\"%d\" font-size=\"13\" fill=\"#3e4c59\">network "
             "%s</text>\n",
             s->x - FRAME, top - FRAME, BOX_W + 2 * FRAME, bottom - top + 2 * FRAME, s->x - FRAME + 4, top - FRAME - 6,
             network);
    }
}

/* A port's name beside the end of its link. */
static void draw_port(struct out *o, const char *name, int x, int y, bool right) {
    if (*name)
        emit(o, "<text x=\"%d\" y=\"%d\" font-size=\"12\" fill=\"#3e4c59\" stroke=\"#ffffff\" stroke-width=\"3\" "
             "paint-order=\"stroke\" text-anchor=\"%s\">%s</text>\n", right ? x + 5 : x - 5, y - 5,
             right ? "start" : "end", name);
}

/* How many links leave `s` on this side, and which of them this one is, by the height of the far end. */
static int link_y(const struct drawing *d, const struct spot *s, const struct spot *far, size_t self) {
    unsigned n = 0, rank = 0;
    size_t i;
    json_t *link;
    struct spot *a, *b;
    json_array_foreach(d->links, i, link) {
        if (!link_ends(d, link, &a, &b) || (a != s && b != s))
            continue;
        const struct spot *other = a == s ? b : a;
        if ((other->column > s->column) != (far->column > s->column))
            continue;
        n++;
        rank += other->y < far->y || (other->y == far->y && i < self);
    }
    return s->y + (int)((double)s->h * (rank + 1) / (n + 1));
}

static void draw_links(const struct drawing *d, struct out *o) {
    size_t i;
    json_t *link;
    struct spot *a, *b;
    json_array_foreach(d->links, i, link) {
        if (!link_ends(d, link, &a, &b))
            continue;
        const char *a_port = text_at(link, "a_port"), *b_port = text_at(link, "b_port");
        if (a->column > b->column) {
            struct spot *swap = a;
            const char *port = a_port;
            a = b;
            b = swap;
            a_port = b_port;
            b_port = port;
        }
        bool level = a->column == b->column; /* bows out to the right */
        int ya = link_y(d, a, b, i), yb = link_y(d, b, a, i);
        int xa = a->x + BOX_W, xb = b->x + (level ? BOX_W : 0);
        if (is_gateway(a) && (is_frame(d, text_at(link, "a")) || is_frame(d, text_at(link, "b")))) {
            int top, bottom; /* with the network as a whole */
            frame_span(d, a, &top, &bottom);
            ya = (top + bottom) / 2;
            xa += FRAME;
        }
        int bend = level ? GAP_X / 2 : (xb - xa) / 2;
        emit(o, "<path d=\"M%d %d C%d %d %d %d %d %d\" fill=\"none\" stroke=\"#52606d\" stroke-width=\"1.6\"/>\n", xa,
             ya, xa + bend, ya, level ? xb + bend : xb - bend, yb, xb, yb);
        if (true_at(a->json, "router") && !strcmp(a->kind, "machine"))
            draw_port(o, a_port, xa, ya, true);
        if (true_at(b->json, "router") && !strcmp(b->kind, "machine"))
            draw_port(o, b_port, xb, yb, level);
    }
}

static void draw_line(struct out *o, const struct spot *s, int line, const char *style, const char *text) {
    char *cut = NULL; /* 22 characters fit */
    if (text_width(text) > 22) {
        size_t n = 0, bytes = 0;
        for (; text[bytes]; bytes++)
            if (((unsigned char)text[bytes] & 0xc0) != 0x80 && ++n > 21)
                break;
        cut = xzalloc(bytes + 4, 1);
        memcpy(cut, text, bytes);
        memcpy(cut + bytes, "\xe2\x80\xa6", 3);
    }
    emit(o, "<text x=\"%d\" y=\"%d\" ", s->x + 12, s->y + 22 + line * LINE);
    fputs(style, o->f);
    emit(o, ">%s</text>\n", cut ? cut : text);
    free(cut);
}

static void draw_spot(const struct drawing *d, const struct spot *s, struct out *o) {
    static const struct { const char *kind, *fill; } fills[] = {
        {"machine", "#ffffff"}, {"gateway", "#e3eefa"}, {"site", "#e5f4ec"}, {"switch", "#f1ecdc"}};
    const char *fill = "#ffffff", *address;
    bool tested = true_at(s->json, "under_test");
    size_t i;
    json_t *value;
    for (size_t k = 0; k < sizeof fills / sizeof *fills; k++)
        if (!strcmp(s->kind, fills[k].kind))
            fill = fills[k].fill;
    emit(o, "<g><title>%s</title><rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"8\" fill=\"%s\" stroke=\"%s\" "
         "stroke-width=\"%s\"/>\n", s->name, s->x, s->y, BOX_W, s->h, tested ? "#fff4e0" : fill,
         tested ? "#b45309" : "#52606d", tested ? "3" : "1.4");
    const char *name = is_gateway(s) ? strchr(s->name, '/') + 1 : s->name;
    draw_line(o, s, 0, "font-size=\"14\" font-weight=\"600\" fill=\"#1f2933\"", name);
    bool routes = !strcmp(s->kind, "machine") && true_at(s->json, "router");
    const char *role = routes ? "router" : is_gateway(s) ? "subnet gateway" : s->kind;
    if (tested)
        role = arena_printf(d->arena, "%s, under test", role);
    draw_line(o, s, 1, "font-size=\"12\" fill=\"#52606d\"", role);
    json_array_foreach(value_at(s->json, "addresses"), i, value) {
        address = json_string_value(value) ? json_string_value(value) : "";
        if (i == 2 && json_array_size(value_at(s->json, "addresses")) > 3)
            address = arena_printf(d->arena, "and %zu more", json_array_size(value_at(s->json, "addresses")) - 2);
        if (i < 3)
            draw_line(o, s, 2 + (int)i, "font-size=\"12\" font-family=\"ui-monospace,monospace\" fill=\"#1f2933\"",
                      address);
    }
    emit(o, "</g>\n");
}

static char *topology_svg(struct arena *a, const json_t *topology, const char *label) {
    const json_t *nodes = value_at(topology, "nodes");
    struct drawing d = {.arena = a, .links = value_at(topology, "links")};
    char *text = NULL;
    size_t size, i;
    json_t *node;

    d.spots = xzalloc(json_array_size(nodes) + 1, sizeof *d.spots);
    json_array_foreach(nodes, i, node)
        if (strcmp(text_at(node, "kind"), "network")) /* a frame stands for it */
            d.spots[d.n++] = (struct spot){.name = text_at(node, "name"), .kind = text_at(node, "kind"), .json = node,
                                           .column = UNPLACED};
    place(&d);
    struct out o = {open_memstream(&text, &size), MARKUP_HTML, 0};
    emit(&o, "<svg role=\"img\" aria-label=\"%s\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "
         "font-family=\"system-ui,sans-serif\">\n<rect width=\"%d\" height=\"%d\" fill=\"#ffffff\"/>\n", label, d.width,
         d.height, d.width, d.height);
    draw_frames(&d, &o);
    draw_links(&d, &o);
    for (i = 0; i < d.n; i++)
        draw_spot(&d, &d.spots[i], &o);
    emit(&o, "</svg>\n");
    fclose(o.f);
    free(d.spots);
    return text;
}

void topologies_draw(struct view *v, struct pictures *out) {
    for (size_t i = 0; i < v->list.n; i++) {
        const json_t *mine = value_at(v->list.v[i].analyze, "topology");
        const char *names = v->list.v[i].name;
        size_t nodes = json_array_size(value_at(mine, "nodes"));
        bool drawn = !nodes || nodes > NODES_MAX; /* or not to be drawn: nobody could read it */
        for (size_t k = 0; k < v->list.n && !drawn; k++) {
            if (!json_equal((json_t *)mine, (json_t *)value_at(v->list.v[k].analyze, "topology")))
                continue;
            drawn = k < i;
            if (k > i)
                names = arena_printf(v->arena, "%s, %s", names, v->list.v[k].name);
        }
        if (drawn)
            continue;
        const char *label = arena_printf(v->arena, "Topology of %s", names);
        const char *name = out->list.n ? arena_printf(v->arena, "topology-%zu", out->list.n + 1) : "topology";
        vec_push(&out->list, (struct picture){name, "topology", label, topology_svg(v->arena, mine, label)});
    }
}
