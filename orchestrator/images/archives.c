/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/images/archives.h"

#include <string.h>

#include "orchestrator/images/manifest.h"
#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"

#define ARCHIVES_FILE      "archives.json"
#define ARCHIVES_BYTES_MAX (8u * 1024u * 1024u)

struct json *image_archives_load(const char *root) {
    _cleanup_free_ char *path = path_join(root, ARCHIVES_FILE);
    struct json *archives = NULL;

    if (json_parse_file(path, ARCHIVES_BYTES_MAX, &archives, NULL) < 0 || !json_is_object(archives)) {
        json_unref(archives);
        return json_object();
    }
    return archives;
}

int image_archives_save(const char *root, const struct json *archives, struct error *err) {
    _cleanup_free_ char *path = path_join(root, ARCHIVES_FILE), *text = json_to_text(archives);

    return file_write_atomic(path, text, strlen(text), 0644, true, err);
}

char *image_archive_stamp(const struct stat *st) {
    return xasprintf("%llu %llu %lld.%09ld", (unsigned long long) st->st_ino, (unsigned long long) st->st_size,
                     (long long) st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
}

char **image_archives_digests(const struct json *archives) {
    char **out = strv_new();

    for (size_t i = 0; i < json_len(archives); i++) {
        const struct json *digests = json_get(json_value_at(archives, i), "digests");
        for (size_t k = 0; k < json_len(digests); k++)
            if (image_digest_is_valid(json_str(json_at(digests, k))))
                strv_push_dup(&out, json_str(json_at(digests, k)));
    }
    return out;
}
