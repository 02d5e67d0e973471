/* SPDX-License-Identifier: BSD-3-Clause */
/* The texts of the drop reasons, from the one list in drop.h. */
#include <fwdlab/core/drop.h>

static const struct {
    const char *name, *sentence;
    enum drop_class class;
} reasons[] = {
#define REASON(symbol, class, name, sentence) {name, sentence, DROP_CLASS_##class},
    DROP_REASONS(REASON)
#undef REASON
};

const char *drop_name(enum drop reason) {
    return reasons[reason].name;
}

const char *drop_sentence(enum drop reason) {
    return reasons[reason].sentence;
}

enum drop_class drop_class(enum drop reason) {
    return reasons[reason].class;
}
