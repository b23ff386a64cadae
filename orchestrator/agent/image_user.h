/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Users and groups of an image, read from /etc/passwd and /etc/group of its layers before any root is mounted. Links
 * and whiteouts are honoured inside the layers; nothing outside is ever opened.
 */
#ifndef PODIUM_AGENT_IMAGE_USER_H
#define PODIUM_AGENT_IMAGE_USER_H

#include <stdint.h>

#include "podium/base/error.h"
#include "podium/base/strbuf.h"

struct image_user {
    uint32_t uid, gid;
    char *home; /* of the passwd entry; NULL when there is none */
    uint32_t *groups;
    size_t n_groups; /* supplementary ones from /etc/group */
};
void image_user_finish(struct image_user *u);

/* text: the image's User, "", "user", "uid", "user:group" … -EINVAL when a name is unknown in the image. */
int image_user_resolve(char *const *layer_dirs, const char *text, struct image_user *ret,
                       struct error *err) _must_check_;
/* A file as the stacked layers (topmost first) show it; -ENOENT, -EFBIG above max. */
int image_file_read(char *const *layer_dirs, const char *path, size_t max, struct strbuf *out,
                    struct error *err) _must_check_;

#endif
