/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/cmd/config_file.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"
#include "podium/base/strbuf.h"

#define CONFIG_BYTES_MAX (1u << 20)

struct reading {
    const char *section;
    const struct option *options;
    const char *file;
    size_t line;
    bool here; /* in our section */
    char ***words;
};

static char *trim(char *s) {
    while (isspace((unsigned char) *s))
        s++;
    for (size_t n = strlen(s); n > 0 && isspace((unsigned char) s[n - 1]); n--)
        s[n - 1] = 0;
    return s;
}

/* "NodeHeartbeat" → "node-heartbeat"; "ServiceCIDR" → "service-cidr". */
static char *option_name(const char *key) {
    struct strbuf b = STRBUF_INIT;

    for (const char *p = key; *p; p++) {
        bool upper = isupper((unsigned char) *p) != 0;
        bool begins = upper && p > key && (!isupper((unsigned char) p[-1]) || islower((unsigned char) p[1]));
        if (begins)
            strbuf_addc(&b, '-');
        strbuf_addc(&b, (char) tolower((unsigned char) *p));
    }
    return strbuf_steal(&b);
}

static const struct option *find_option(const struct reading *f, const char *key) {
    _cleanup_free_ char *name = option_name(key);

    for (const struct option *o = f->options; o->name; o++)
        if (strcmp(o->name, name) == 0 && strcmp(name, "help") != 0 && strcmp(name, "config") != 0)
            return o;
    return NULL;
}

static int parse_boolean(const char *value) {
    static const char *const on[] = {"yes", "true", "on", "1"}, *const off[] = {"no", "false", "off", "0"};

    for (size_t i = 0; i < ARRAY_LEN(on); i++)
        if (strcmp(value, on[i]) == 0)
            return 1;
    for (size_t i = 0; i < ARRAY_LEN(off); i++)
        if (strcmp(value, off[i]) == 0)
            return 0;
    return -EINVAL;
}

static int take_setting(const struct reading *f, const char *key, const char *value, struct error *err) {
    const struct option *o = find_option(f, key);

    if (!o)
        return error_set(err, -EINVAL, "%s:%zu: unknown setting \"%s\" in [%s]", f->file, f->line, key, f->section);
    if (o->has_arg == required_argument) {
        strv_push(f->words, xasprintf("--%s=%s", o->name, value));
        return 0;
    }
    int on = parse_boolean(value);
    if (on < 0)
        return error_set(err, -EINVAL, "%s:%zu: %s wants yes or no, not \"%s\"", f->file, f->line, key, value);
    if (on)
        strv_push(f->words, xasprintf("--%s", o->name));
    return 0;
}

static int take_section(struct reading *f, const char *line, struct error *err) {
    static const char *const known[] = {"[Server]", "[Agent]"};

    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (strcmp(line, known[i]) != 0)
            continue;
        f->here = strlen(line) == strlen(f->section) + 2 && strncmp(line + 1, f->section, strlen(f->section)) == 0;
        return 0;
    }
    return error_set(err, -EINVAL, "%s:%zu: unknown section %s (there are [Server] and [Agent])", f->file, f->line,
                     line);
}

static int take_line(struct reading *f, char *line, struct error *err) {
    char *text = trim(line), *equals = strchr(text, '=');

    if (!*text || *text == '#' || *text == ';')
        return 0;
    if (*text == '[')
        return take_section(f, text, err);
    if (!equals || equals == text)
        return error_set(err, -EINVAL, "%s:%zu: not \"Key=value\": %s", f->file, f->line, text);
    *equals = 0;
    return f->here ? take_setting(f, trim(text), trim(equals + 1), err) : 0;
}

static int read_file(const char *path, const char *section, const struct option *options, char ***words,
                     struct error *err) {
    struct reading f = {.section = section, .options = options, .file = path, .words = words};
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    int r = file_read(path, CONFIG_BYTES_MAX, &text, err);

    char *p = r < 0 || text.len == 0 ? NULL : text.data;
    while (r >= 0 && p) {
        char *end = strchr(p, '\n');
        if (end)
            *end++ = 0;
        f.line++;
        r = take_line(&f, p, err);
        p = end;
    }
    return r < 0 ? r : 0;
}

static int is_conf(const struct dirent *e) {
    size_t n = strlen(e->d_name);

    return e->d_name[0] != '.' && n > 5 && strcmp(e->d_name + n - 5, ".conf") == 0;
}

static int read_drop_ins(const char *path, const char *section, const struct option *options, char ***words,
                         struct error *err) {
    _cleanup_free_ char *dir = xasprintf("%s.d", path);
    struct dirent **names;
    int r = 0, n = scandir(dir, &names, is_conf, alphasort);

    if (n < 0)
        return errno == ENOENT ? 0 : error_set_errno(err, -errno, "cannot read %s", dir);
    for (int i = 0; i < n; i++) {
        _cleanup_free_ char *file = path_join(dir, names[i]->d_name);
        if (r == 0)
            r = read_file(file, section, options, words, err);
        free(names[i]);
    }
    free(names);
    return r;
}

/* The word "--config" takes, and whether it is in the next argument. */
static const char *config_value(char **argv, int i, int argc, int *ret_words) {
    *ret_words = 1;
    if (strncmp(argv[i], "--config=", 9) == 0)
        return argv[i] + 9;
    if (strcmp(argv[i], "--config") != 0 || i + 1 >= argc)
        return NULL;
    *ret_words = 2;
    return argv[i + 1];
}

int config_file_words(const char *section, const struct option *options, int argc, char **argv, char ***ret,
                      struct error *err) {
    _cleanup_strv_ char **own = strv_new(), **words = strv_new();
    const char *path = NULL;
    int r = 0;

    for (int i = 1, n; i < argc; i += n) {
        const char *value = config_value(argv, i, argc, &n);
        if (value)
            path = value;
        else
            strv_push_dup(&own, argv[i]);
    }
    strv_push_dup(&words, argc > 0 ? argv[0] : "");
    if (path || access(CONFIG_FILE_DEFAULT, F_OK) == 0)
        r = read_file(path ? path : CONFIG_FILE_DEFAULT, section, options, &words, err);
    if (r == 0)
        r = read_drop_ins(path ? path : CONFIG_FILE_DEFAULT, section, options, &words, err);
    if (r < 0)
        return r;
    for (char **w = own; *w; w++)
        strv_push_dup(&words, *w);
    *ret = steal(&words);
    return 0;
}
