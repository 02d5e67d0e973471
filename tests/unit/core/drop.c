/* SPDX-License-Identifier: BSD-3-Clause */
/* The drop reasons: documents, reports and metrics show their names, so these are words that can be told apart. */
#include <criterion/criterion.h>
#include <ctype.h>
#include <string.h>
#include <fwdlab/core/drop.h>

Test(drop, names_are_lower_case_words_joined_by_hyphens) {
    for (int i = DROP_NONE + 1; i < DROP_COUNT; i++) {
        const char *name = drop_name((enum drop)i);
        cr_assert(islower((unsigned char)name[0]), "%s", name);
        for (const char *c = name; *c; c++)
            cr_assert(islower((unsigned char)*c) || isdigit((unsigned char)*c) ||
                          (*c == '-' && isalnum((unsigned char)c[1])), "%s", name);
    }
}

Test(drop, reasons_differ_and_are_explained) {
    for (int i = DROP_NONE + 1; i < DROP_COUNT; i++) {
        cr_assert_gt(strlen(drop_sentence((enum drop)i)), 2u, "%s", drop_name((enum drop)i));
        for (int k = DROP_NONE + 1; k < i; k++) {
            cr_assert_str_neq(drop_name((enum drop)i), drop_name((enum drop)k));
            cr_assert_str_neq(drop_sentence((enum drop)i), drop_sentence((enum drop)k));
        }
    }
}

Test(drop, classes) {
    cr_assert_eq(drop_class(DROP_NONE), DROP_CLASS_NONE);
    cr_assert_eq(drop_class(DROP_BAD_CHECKSUM), DROP_CLASS_MALFORMED);
    cr_assert_eq(drop_class(DROP_ARP), DROP_CLASS_IGNORED);
    cr_assert_eq(drop_class(DROP_NO_ROUTE), DROP_CLASS_DROP);
    for (int i = DROP_NONE + 1; i < DROP_COUNT; i++)
        cr_assert_neq(drop_class((enum drop)i), DROP_CLASS_NONE, "%s", drop_name((enum drop)i));
}
