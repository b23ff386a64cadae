/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parsed form of a JSONPath template: what the parser makes and the evaluator walks. Private to the two. */
#ifndef PODIUM_CLI_JSONPATH_TREE_H
#define PODIUM_CLI_JSONPATH_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "podium/base/json.h"

#define JSONPATH_WALK_MAX 256 /* levels of a document that ".." looks into */

struct path {
    bool from_root; /* "$" */
    struct step *steps;
    size_t n, cap;
};

enum comparison {
    OP_EXISTS,
    OP_EQUAL,
    OP_NOT_EQUAL,
    OP_LESS,
    OP_LESS_EQUAL,
    OP_GREATER,
    OP_GREATER_EQUAL,
};
struct operand {
    struct path *path; /* or */
    struct json *literal;
};
struct filter {
    struct operand left, right;
    enum comparison comparison;
};

enum step_type { STEP_KEY, STEP_ALL, STEP_SLICE, STEP_RECURSIVE, STEP_FILTER, STEP_UNION };
struct step {
    enum step_type type;
    char *key;                /* STEP_KEY, STEP_RECURSIVE ("" or NULL: everything) */
    int64_t from, to, stride; /* STEP_SLICE */
    bool has_from, has_to, single;
    struct filter *filter; /* STEP_FILTER */
    struct step *members;  /* STEP_UNION */
    size_t n_members, cap_members;
};

enum node_type { NODE_TEXT, NODE_PATH, NODE_RANGE };
struct nodes {
    struct node *items;
    size_t n, cap;
};
struct node {
    enum node_type type;
    char *text;
    struct path path;
    struct nodes body; /* NODE_RANGE */
};

struct jsonpath {
    struct nodes nodes;
};

#endif
