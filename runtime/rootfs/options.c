/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/rootfs/options.h"

#include <string.h>
#include <sys/mount.h>

#include "podium/base/alloc.h"

#ifndef MOUNT_ATTR__ATIME
#define MOUNT_ATTR__ATIME 0x70
#endif

static const struct {
    const char *name;
    uint64_t set, clear;
} attributes[] = {
    {"ro", MOUNT_ATTR_RDONLY, 0},
    {"rw", 0, MOUNT_ATTR_RDONLY},
    {"nosuid", MOUNT_ATTR_NOSUID, 0},
    {"suid", 0, MOUNT_ATTR_NOSUID},
    {"nodev", MOUNT_ATTR_NODEV, 0},
    {"dev", 0, MOUNT_ATTR_NODEV},
    {"noexec", MOUNT_ATTR_NOEXEC, 0},
    {"exec", 0, MOUNT_ATTR_NOEXEC},
    {"noatime", MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME},
    {"atime", MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME},
    {"relatime", MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME},
    {"norelatime", MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME},
    {"strictatime", MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME},
    {"nostrictatime", MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME},
    {"nodiratime", MOUNT_ATTR_NODIRATIME, 0},
    {"diratime", 0, MOUNT_ATTR_NODIRATIME},
    {"nosymfollow", MOUNT_ATTR_NOSYMFOLLOW, 0},
    {"symfollow", 0, MOUNT_ATTR_NOSYMFOLLOW},
};

static const struct {
    const char *name;
    uint64_t flag;
} propagations[] = {{"private", MS_PRIVATE}, {"slave", MS_SLAVE}, {"shared", MS_SHARED}, {"unbindable", MS_UNBINDABLE}};

static bool parse_attribute(const char *word, struct mount_options *o) {
    for (size_t i = 0; i < ARRAY_LEN(attributes); i++) {
        if (strcmp(attributes[i].name, word) == 0) {
            o->attr_set = (o->attr_set & ~attributes[i].clear) | attributes[i].set;
            o->attr_clear = (o->attr_clear & ~attributes[i].set) | attributes[i].clear;
            return true;
        }
        if (word[0] == 'r' && strcmp(attributes[i].name, word + 1) == 0) {
            o->attr_set_all = (o->attr_set_all & ~attributes[i].clear) | attributes[i].set;
            o->attr_clear_all = (o->attr_clear_all & ~attributes[i].set) | attributes[i].clear;
            return true;
        }
    }
    return false;
}

static bool parse_propagation(const char *word, struct mount_options *o) {
    for (size_t i = 0; i < ARRAY_LEN(propagations); i++)
        if (strcmp(propagations[i].name, word + (word[0] == 'r')) == 0) {
            o->propagation = propagations[i].flag;
            o->propagation_recursive = word[0] == 'r';
            return true;
        }
    return false;
}

/* Of mount(8), about messages of the kernel's and what the new mount interface always or never does. */
static bool means_nothing(const char *word) {
    static const char *const words[] = {"", "defaults", "silent", "loud", "noiversion"};

    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strcmp(words[i], word) == 0)
            return true;
    return false;
}

bool mount_option_is_usual(const char *word) {
    return strcmp(word, "async") == 0 || strcmp(word, "nolazytime") == 0 || strcmp(word, "nomand") == 0;
}

void mount_options_parse(char *const *words, struct mount_options *o) {
    size_t n = strv_len(words);

    *o = (struct mount_options){0};
    o->data = xcalloc(n + 1, sizeof(*o->data));
    for (size_t i = 0; i < n; i++) {
        const char *word = words[i];

        if (strcmp(word, "bind") == 0)
            o->bind = true;
        else if (strcmp(word, "rbind") == 0)
            o->bind = o->recursive = true;
        else if (strcmp(word, "tmpcopyup") == 0)
            o->copy_up = true;
        else if (strcmp(word, "idmap") == 0)
            o->idmap = true;
        else if (strcmp(word, "ridmap") == 0)
            o->idmap = o->idmap_recursive = true;
        else if (means_nothing(word))
            continue;
        else if (!parse_attribute(word, o) && !parse_propagation(word, o))
            o->data[o->n_data++] = word;
    }
}

void mount_options_finish(struct mount_options *o) {
    free(o->data);
    o->data = NULL;
}
