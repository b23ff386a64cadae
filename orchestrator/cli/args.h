/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Command line flags as kubectl's users type them: tables of flags, parsed into words and values.
 *
 * What it is. "--name value", "--name=value", "-n value", "-nvalue", "-it" (several without value); flags may stand
 * before, between and after words; "--" ends them. A flag given again replaces its value (all values are kept for
 * those that want them: args_all()).
 *
 * Invariants. Tables are static. Every name that is read must be in a table given to args_parse(): reading another is a
 * mistake of the program and aborts.
 *
 * Ownership. Readers lend; everything belongs to the struct until args_finish(). Errors: -EINVAL with a sentence for
 * the user. Threads: pure.
 */
#ifndef PODIUM_CLI_ARGS_H
#define PODIUM_CLI_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "podium/base/error.h"
#include "podium/base/hashmap.h"

enum flag_type {
    FLAG_BOOL,     /* "--x", "--x=true", "--x=false" */
    FLAG_VALUE,    /* needs a value */
    FLAG_OPTIONAL, /* "--x" stands for "--x=<otherwise>"; a value needs the "=" */
};

struct flag {
    const char *name; /* without dashes */
    char letter;      /* 0: none */
    enum flag_type type;
    const char *otherwise;   /* FLAG_OPTIONAL: the value of the bare flag */
    const char *placeholder; /* "FILE" for the help, NULL for bools */
    const char *help;
};
#define FLAG_END                                                                                                       \
    { NULL, 0, FLAG_BOOL, NULL, NULL, NULL }

struct args {
    const struct flag *tables[2]; /* each ends with FLAG_END; may be NULL */
    struct hashmap *values;       /* name → char ** */
    char **words;                 /* what is no flag, before "--" */
    char **rest;                  /* behind "--" */
    bool has_rest;
};

/* argv: without the program's name. */
int args_parse(int argc, char *const *argv, const struct flag *global, const struct flag *own, struct args *ret,
               struct error *err) _must_check_;
void args_finish(struct args *a);

bool args_has(const struct args *a, const char *name);
/* The last value given, or NULL. */
const char *args_str(const struct args *a, const char *name);
/* All values given, in order; never NULL. */
char *const *args_all(const struct args *a, const char *name);
bool args_bool(const struct args *a, const char *name, bool otherwise);
/* -EINVAL when the value is no number from min to max; *ret is untouched when the flag was not given. */
int args_int(const struct args *a, const char *name, int64_t min, int64_t max, int64_t *ret,
             struct error *err) _must_check_;
/* Go durations ("1m30s") or plain seconds, to microseconds; negative allowed. Untouched when not given. */
int args_duration(const struct args *a, const char *name, int64_t *ret_usec, struct error *err) _must_check_;

/* The flag of a table by long name (n bytes) or letter; NULL. */
const struct flag *flag_by_name(const struct flag *table, const char *name, size_t n);
const struct flag *flag_by_letter(const struct flag *table, char letter);
/* How many single-character edits a typo is away (Levenshtein); for "did you mean". */
size_t edit_distance(const char *a, const char *b);

#endif
