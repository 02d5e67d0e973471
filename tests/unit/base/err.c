/* SPDX-License-Identifier: BSD-3-Clause */
/* Faults: the innermost place is kept, long texts are cut, and nobody has to ask for them. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fwdlab/base/err.h>
#include <string.h>

Test(err, innermost_place_is_kept) {
    struct err e;
    memset(&e, 'x', sizeof e);
    cr_expect_eq(err_set(&e, -EINVAL, "bad %s", "thing"), -EINVAL);
    cr_expect_str_eq(e.what, "bad thing");
    cr_expect_str_eq(e.where, "");
    cr_expect_str_eq(e.hint, "");
    err_where(&e, "%s:%d", "inner.yaml", 7);
    err_where(&e, "outer.yaml");
    cr_expect_str_eq(e.where, "inner.yaml:7");
    err_hint(&e, "use %d", 3);
    cr_expect_str_eq(e.hint, "use 3");
    err_set(&e, -EIO, "another");
    cr_expect_str_eq(e.where, "", "a new fault has a new place");
    cr_expect_str_eq(e.hint, "");
}

Test(err, nobody_asks) {
    cr_expect_eq(err_set(NULL, -ENOENT, "%s", "x"), -ENOENT);
    err_where(NULL, "%s", "x");
    err_hint(NULL, "%s", "x");
}

Test(err, long_texts_are_cut) {
    struct err e;
    char text[2000];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    err_set(&e, -1, "%s", text);
    err_where(&e, "%s", text);
    err_hint(&e, "%s", text);
    cr_expect_eq(strlen(e.what), sizeof e.what - 1);
    cr_expect_eq(strlen(e.where), sizeof e.where - 1);
    cr_expect_eq(strlen(e.hint), sizeof e.hint - 1);
}
