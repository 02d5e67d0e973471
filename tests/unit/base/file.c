/* SPDX-License-Identifier: BSD-3-Clause */
/* Files appear whole or not at all, and nothing is left beside them. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fwdlab/base/file.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64], path[128];

static void setup(void) {
    strcpy(dir, "/tmp/fwdlab-file.XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/result.json", dir);
}
static void teardown(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    cr_assert_eq(system(command), 0);
}
TestSuite(file, .init = setup, .fini = teardown);

static unsigned entries(void) {
    unsigned n = 0;
    DIR *d = opendir(dir);
    while (readdir(d))
        n++;
    closedir(d);
    return n - 2;
}

static void expect_content(const char *name, const char *expected) {
    char *data;
    size_t len;
    struct err e;
    cr_assert_eq(file_load(name, &data, &len, &e), 0, "%s", e.what);
    cr_expect_eq(len, strlen(expected));
    cr_expect_str_eq(data, expected);
    free(data);
}

Test(file, saved_and_replaced) {
    struct err e;
    cr_assert_eq(file_save(path, "one", 3, &e), 0);
    struct stat before, after;
    cr_assert_eq(stat(path, &before), 0);
    mode_t mask = umask(0);
    umask(mask);
    cr_expect_eq(before.st_mode & 0777, 0666 & ~mask, "as an ordinary new file");
    int old = open(path, O_RDONLY);
    cr_assert_eq(file_save(path, "second", 6, &e), 0);
    cr_assert_eq(stat(path, &after), 0);
    char still[8] = "";
    cr_expect_eq(read(old, still, sizeof still), 3, "who has the old file open keeps it whole");
    cr_expect_str_eq(still, "one");
    close(old);
    cr_expect_neq(before.st_ino, after.st_ino);
    expect_content(path, "second");
    cr_expect_eq(entries(), 1u);
}

Test(file, empty_and_binary) {
    char *data;
    size_t len;
    cr_assert_eq(file_save(path, "", 0, NULL), 0);
    expect_content(path, "");
    cr_assert_eq(file_save(path, "a\0b", 3, NULL), 0);
    cr_assert_eq(file_load(path, &data, &len, NULL), 0);
    cr_expect(len == 3 && !memcmp(data, "a\0b", 4));
    free(data);
}

Test(file, larger_than_the_first_buffer) {
    size_t n = 300000, len;
    char *big = malloc(n), *back;
    for (size_t i = 0; i < n; i++)
        big[i] = (char)(i * 7 + i / 256);
    cr_assert_eq(file_save(path, big, n, NULL), 0);
    cr_assert_eq(file_load(path, &back, &len, NULL), 0);
    cr_expect(len == n && !memcmp(big, back, n) && back[n] == '\0');
    free(big);
    free(back);
}

Test(file, nowhere_to_write) {
    struct err e;
    char inside[160];
    snprintf(inside, sizeof inside, "%s/missing/x", dir);
    cr_expect_eq(file_save(inside, "x", 1, &e), -ENOENT);
    cr_expect_str_eq(e.where, inside);
    cr_expect_not_null(strstr(e.what, "No such file"));
    cr_expect_lt(file_save(dir, "x", 1, &e), 0, "a folder is not replaced");
    cr_expect_eq(entries(), 0u);
}

Test(file, full_device_is_reported) {
    struct err e;
    cr_expect_eq(file_save("/dev/full", "x", 1, &e), -ENOSPC);
    cr_expect_not_null(strstr(e.what, "write"));
    cr_expect_eq(file_save("/dev/null", "x", 1, &e), 0, "devices are written to, not replaced");
    struct stat st;
    cr_expect(stat("/dev/null", &st) == 0 && S_ISCHR(st.st_mode));
}

/* A file that may not grow further (ulimit -f): the good old one stays, and no half one lies beside it. */
Test(file, whole_or_not_at_all) {
    cr_assert_eq(file_save(path, "good", 4, NULL), 0);
    pid_t child = fork();
    if (child == 0) {
        struct err e;
        static char big[1 << 20];
        signal(SIGXFSZ, SIG_IGN);
        struct rlimit limit = {65536, 65536};
        setrlimit(RLIMIT_FSIZE, &limit);
        _exit(file_save(path, big, sizeof big, &e) == -EFBIG ? 0 : 1);
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    expect_content(path, "good");
    cr_expect_eq(entries(), 1u);
}

Test(file, read_only_folder) {
    if (geteuid() == 0) { /* root writes everywhere: only the other way round can be seen */
        cr_expect_eq(file_save(path, "x", 1, NULL), 0);
        return;
    }
    struct err e;
    chmod(dir, 0555);
    cr_expect_eq(file_save(path, "x", 1, &e), -EACCES);
    chmod(dir, 0755);
    cr_expect_eq(entries(), 0u);
}

Test(file, symbolic_link_stays_one) {
    char link[128];
    struct stat st;
    snprintf(link, sizeof link, "%s/latest.json", dir);
    cr_assert_eq(file_save(path, "one", 3, NULL), 0);
    cr_assert_eq(symlink(path, link), 0);
    cr_expect_eq(file_save(link, "two", 3, NULL), 0);
    cr_expect(lstat(link, &st) == 0 && S_ISLNK(st.st_mode));
    expect_content(path, "two");
    cr_expect_eq(entries(), 2u);
}

Test(file, loading_what_is_not_there) {
    char *data;
    size_t len;
    struct err e;
    cr_expect_eq(file_load(path, &data, &len, &e), -ENOENT);
    cr_expect_str_eq(e.where, path);
    cr_expect_eq(file_load(dir, &data, &len, &e), -EISDIR);
}

Test(file, dash_is_stdin) {
    int pipes[2];
    cr_assert_eq(pipe(pipes), 0);
    cr_assert_eq(write(pipes[1], "from stdin", 10), 10);
    close(pipes[1]);
    int saved = dup(STDIN_FILENO);
    dup2(pipes[0], STDIN_FILENO);
    expect_content("-", "from stdin");
    dup2(saved, STDIN_FILENO);
    close(saved);
    close(pipes[0]);
}

Test(file, folders) {
    char deep[160];
    struct err e;
    struct stat st;
    snprintf(deep, sizeof deep, "%s/a//b/c/", dir);
    cr_expect_eq(dir_make(deep, &e), 0);
    cr_expect(stat(deep, &st) == 0 && S_ISDIR(st.st_mode));
    cr_expect_eq(dir_make(deep, &e), 0, "one that exists is fine");
    cr_assert_eq(file_save(path, "x", 1, NULL), 0);
    cr_expect_eq(dir_make(path, &e), -ENOTDIR);
    snprintf(deep, sizeof deep, "%s/under", path);
    cr_expect_eq(dir_make(deep, &e), -ENOTDIR);
    cr_expect_str_eq(e.where, path);
}
