/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <ctype.h>
#include <string.h>

#include "orchestrator/cli/jsonpath.h"
#include "orchestrator/cli/jsonpath_tree.h"
#include "podium/base/alloc.h"

#define TEMPLATE_BYTES_MAX (256u * 1024u)

struct parser {
    const char *text, *p;
    unsigned depth;
    struct error *err;
};

/* --- release --- */

static void path_finish(struct path *p);

static void operand_finish(struct operand *o) {
    if (o->path)
        path_finish(o->path);
    free(o->path);
    json_unref(o->literal);
}

static void step_finish(struct step *s) {
    free(s->key);
    if (s->filter) {
        operand_finish(&s->filter->left);
        operand_finish(&s->filter->right);
        free(s->filter);
    }
    for (size_t i = 0; i < s->n_members; i++)
        step_finish(&s->members[i]);
    free(s->members);
}

static void path_finish(struct path *p) {
    for (size_t i = 0; i < p->n; i++)
        step_finish(&p->steps[i]);
    free(p->steps);
}

static void nodes_finish(struct nodes *nodes) {
    for (size_t i = 0; i < nodes->n; i++) {
        free(nodes->items[i].text);
        path_finish(&nodes->items[i].path);
        nodes_finish(&nodes->items[i].body);
    }
    free(nodes->items);
}

void jsonpath_free(struct jsonpath *p) {
    if (!p)
        return;
    nodes_finish(&p->nodes);
    free(p);
}

/* --- pieces --- */

static int wrong(const struct parser *in, const char *what) {
    return error_set(in->err, -EINVAL, "error parsing jsonpath %s, at position %zu: %s", in->text,
                     (size_t) (in->p - in->text) + 1, what);
}

static void skip_spaces(struct parser *in) {
    while (isspace((unsigned char) *in->p))
        in->p++;
}

static struct step *add_step(struct path *path, enum step_type type) {
    xgrow(&path->steps, path->n, &path->cap);
    path->steps[path->n] = (struct step){.type = type};
    return &path->steps[path->n++];
}

static struct node *add_node(struct nodes *nodes, enum node_type type) {
    xgrow(&nodes->items, nodes->n, &nodes->cap);
    nodes->items[nodes->n] = (struct node){.type = type};
    return &nodes->items[nodes->n++];
}

/* A quoted string with Go's usual escapes; in->p is at the quote. */
static int parse_quoted(struct parser *in, char **ret) {
    static const char letters[] = "ntr", meant[] = "\n\t\r";
    _cleanup_strbuf_ struct strbuf s = STRBUF_INIT;
    char quote = *in->p++;
    for (; *in->p && *in->p != quote; in->p++) {
        if (*in->p != '\\') {
            strbuf_addc(&s, *in->p);
            continue;
        }
        const char *l = *++in->p ? strchr(letters, *in->p) : NULL;
        if (!*in->p)
            break;
        strbuf_addc(&s, l ? meant[l - letters] : *in->p);
    }
    if (*in->p != quote)
        return wrong(in, "unterminated quoted string");
    in->p++;
    *ret = strbuf_steal(&s);
    return 0;
}

static bool ends_key(char c) {
    return !c || isspace((unsigned char) c) || strchr(".[](){}@,=!<>|&\"'", c);
}

/* What follows a dot; a backslash takes the next character as it is ("app\.kubernetes\.io/name"). */
static char *parse_key(struct parser *in) {
    struct strbuf s = STRBUF_INIT;
    while (!ends_key(*in->p)) {
        if (*in->p == '\\' && in->p[1])
            in->p++;
        strbuf_addc(&s, *in->p++);
    }
    return strbuf_steal(&s);
}

static bool parse_integer(struct parser *in, int64_t *ret) {
    char *end;
    if (!isdigit((unsigned char) *in->p) && !(*in->p == '-' && isdigit((unsigned char) in->p[1])))
        return false;
    *ret = strtoll(in->p, &end, 10);
    if (*ret > INT32_MAX || *ret < INT32_MIN)
        *ret = *ret < 0 ? INT32_MIN : INT32_MAX;
    in->p = end;
    return true;
}

static int parse_path(struct parser *in, struct path *ret);

/* --- brackets --- */

static int parse_operand(struct parser *in, struct operand *ret) {
    skip_spaces(in);
    int64_t unused;
    if (*in->p == '@' || *in->p == '$' || *in->p == '.') {
        ret->path = xnew0(struct path);
        return parse_path(in, ret->path);
    }
    if (*in->p == '"' || *in->p == '\'') {
        _cleanup_free_ char *s = NULL;
        int r = parse_quoted(in, &s);
        if (r == 0)
            ret->literal = json_string(s);
        return r;
    }
    if (strncmp(in->p, "true", 4) == 0 || strncmp(in->p, "false", 5) == 0) {
        ret->literal = json_bool(*in->p == 't');
        in->p += *in->p == 't' ? 4 : 5;
        return 0;
    }
    const char *number = in->p;
    if (!parse_integer(in, &unused))
        return wrong(in, "a path, a string, a number, true or false is wanted in the filter");
    if (*in->p == '.' || *in->p == 'e') {
        char *end;
        ret->literal = json_double(strtod(number, &end));
        in->p = end;
    } else {
        ret->literal = json_int(unused);
    }
    return 0;
}

static int parse_comparison(struct parser *in, enum comparison *ret) {
    static const struct {
        const char *sign;
        enum comparison comparison;
    } signs[] = {{"==", OP_EQUAL}, {"!=", OP_NOT_EQUAL}, {"<=", OP_LESS_EQUAL}, {">=", OP_GREATER_EQUAL},
                 {"<", OP_LESS},   {">", OP_GREATER},    {"=", OP_EQUAL}};
    skip_spaces(in);
    *ret = OP_EXISTS;
    if (*in->p == ')')
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(signs); i++) {
        size_t n = strlen(signs[i].sign);
        if (strncmp(in->p, signs[i].sign, n) == 0) {
            in->p += n;
            *ret = signs[i].comparison;
            return 0;
        }
    }
    return wrong(in, "unrecognized operator in the filter");
}

/* in->p is behind "?(" */
static int parse_filter(struct parser *in, struct path *path) {
    struct step *s = add_step(path, STEP_FILTER);
    struct filter *f = s->filter = xnew0(struct filter);
    if (++in->depth > JSONPATH_DEPTH_MAX)
        return wrong(in, "too many filters inside filters");
    int r = parse_operand(in, &f->left);
    if (r == 0)
        r = parse_comparison(in, &f->comparison);
    if (r == 0 && f->comparison != OP_EXISTS)
        r = parse_operand(in, &f->right);
    if (r < 0)
        return r;
    in->depth--;
    skip_spaces(in);
    if (*in->p != ')')
        return wrong(in, "unterminated filter");
    in->p++;
    return 0;
}

/* "1", "-1", "1:3", ":3", "::2" */
static int parse_slice(struct parser *in, struct step *s) {
    s->type = STEP_SLICE;
    s->has_from = parse_integer(in, &s->from);
    s->single = *in->p != ':';
    if (s->single)
        return s->has_from ? 0 : wrong(in, "invalid array index");
    in->p++;
    s->has_to = parse_integer(in, &s->to);
    if (*in->p == ':') {
        in->p++;
        if (parse_integer(in, &s->stride) && s->stride <= 0)
            return wrong(in, "step must be > 0");
    }
    return 0;
}

static int parse_member(struct parser *in, struct step *s) {
    skip_spaces(in);
    if (*in->p == '\'' || *in->p == '"') {
        s->type = STEP_KEY;
        return parse_quoted(in, &s->key);
    }
    return parse_slice(in, s);
}

/* in->p is behind "[" */
static int parse_bracket(struct parser *in, struct path *path) {
    int r;
    skip_spaces(in);
    if (strncmp(in->p, "?(", 2) == 0) {
        in->p += 2;
        r = parse_filter(in, path);
    } else if (*in->p == '*') {
        in->p++;
        add_step(path, STEP_ALL);
        r = 0;
    } else {
        struct step *u = add_step(path, STEP_UNION);
        do {
            xgrow(&u->members, u->n_members, &u->cap_members);
            u->members[u->n_members] = (struct step){0};
            r = parse_member(in, &u->members[u->n_members++]);
            skip_spaces(in);
        } while (r == 0 && *in->p == ',' && in->p++);
    }
    if (r < 0)
        return r;
    skip_spaces(in);
    if (*in->p != ']')
        return wrong(in, "unterminated array");
    in->p++;
    return 0;
}

static int parse_dot(struct parser *in, struct path *path) {
    in->p++;
    if (*in->p == '.') {
        in->p++;
        struct step *s = add_step(path, STEP_RECURSIVE);
        if (*in->p == '*')
            in->p++;
        else
            s->key = parse_key(in);
        return 0;
    }
    if (*in->p == '*') {
        in->p++;
        add_step(path, STEP_ALL);
        return 0;
    }
    _cleanup_free_ char *key = parse_key(in);
    if (*key)
        add_step(path, STEP_KEY)->key = steal(&key);
    return 0; /* a bare dot, "{.}" or "{.[0]}", is the thing itself */
}

static int parse_path(struct parser *in, struct path *ret) {
    int r = 0;
    if (*in->p == '$' || *in->p == '@')
        ret->from_root = *in->p++ == '$';
    while (r == 0 && (*in->p == '.' || *in->p == '[')) {
        if (*in->p == '.') {
            r = parse_dot(in, ret);
        } else {
            in->p++;
            r = parse_bracket(in, ret);
        }
    }
    return r;
}

/* --- templates --- */

static int parse_nodes(struct parser *in, bool in_range, struct nodes *ret);

static bool keyword(struct parser *in, const char *word) {
    size_t n = strlen(word);
    if (strncmp(in->p, word, n) != 0 || (in->p[n] && !isspace((unsigned char) in->p[n]) && in->p[n] != '}'))
        return false;
    in->p += n;
    skip_spaces(in);
    return true;
}

static int parse_range(struct parser *in, struct nodes *ret) {
    struct node *node = add_node(ret, NODE_RANGE);
    if (++in->depth > JSONPATH_DEPTH_MAX)
        return wrong(in, "too many ranges inside ranges");
    int r = parse_path(in, &node->path);
    if (r < 0)
        return r;
    skip_spaces(in);
    if (*in->p != '}')
        return wrong(in, "unclosed action");
    in->p++;
    r = parse_nodes(in, true, &node->body);
    in->depth--;
    return r;
}

/* What stands between braces: paths and strings one after another. in->p is behind "{"; ends behind "}". */
static int parse_action(struct parser *in, struct nodes *ret) {
    for (skip_spaces(in); *in->p != '}'; skip_spaces(in)) {
        int r;
        if (!*in->p)
            return wrong(in, "unclosed action");
        if (*in->p == '"' || *in->p == '\'')
            r = parse_quoted(in, &add_node(ret, NODE_TEXT)->text);
        else if (strchr(".[$@", *in->p))
            r = parse_path(in, &add_node(ret, NODE_PATH)->path);
        else
            r = wrong(in, "unrecognized character: a path begins with a dot");
        if (r < 0)
            return r;
    }
    in->p++;
    return 0;
}

static int parse_nodes(struct parser *in, bool in_range, struct nodes *ret) {
    while (*in->p) {
        size_t n = strcspn(in->p, "{");
        if (n > 0)
            add_node(ret, NODE_TEXT)->text = xstrndup(in->p, n);
        in->p += n;
        if (!*in->p)
            break;
        in->p++;
        skip_spaces(in);
        if (keyword(in, "end")) {
            if (*in->p != '}')
                return wrong(in, "unclosed action");
            if (!in_range)
                return wrong(in, "not in range, nothing to end");
            in->p++;
            return 0;
        }
        int r = keyword(in, "range") ? parse_range(in, ret) : parse_action(in, ret);
        if (r < 0)
            return r;
    }
    return in_range ? wrong(in, "unterminated range: {end} is missing") : 0;
}

int jsonpath_parse(const char *text, struct jsonpath **ret, struct error *err) {
    struct parser in = {.text = text, .p = text, .err = err};
    if (strlen(text) > TEMPLATE_BYTES_MAX)
        return error_set(err, -E2BIG, "the jsonpath template is longer than %u bytes", TEMPLATE_BYTES_MAX);
    struct jsonpath *p = xnew0(struct jsonpath);
    int r = parse_nodes(&in, false, &p->nodes);
    if (r < 0) {
        jsonpath_free(p);
        return r;
    }
    *ret = p;
    return 0;
}

int jsonpath_parse_relaxed(const char *text, struct jsonpath **ret, struct error *err) {
    if (*text == '{')
        return jsonpath_parse(text, ret, err);
    _cleanup_free_ char *braced = xasprintf("{%s%s}", *text == '.' || *text == '[' || *text == '$' ? "" : ".", text);
    return jsonpath_parse(braced, ret, err);
}
