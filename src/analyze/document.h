/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ANALYZE_DOCUMENT_H
#define ANALYZE_DOCUMENT_H

#include <jansson.h>
#include <fwdlab/control/control.h>

json_t *hidden_routes_json(const struct control *c);
json_t *topology_json(const struct control *c, const char *under_test);

#endif
