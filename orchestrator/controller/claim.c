/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/controller/claim.h"

#include <string.h>

#include "orchestrator/controller/ownership.h"

enum fate { FATE_STRANGER, FATE_MINE, FATE_ADOPT, FATE_RELEASE };

static enum fate fate_of(const struct claim *c, const struct json *child) {
    bool matches = selector_matches(c->selector, json_path(child, "metadata", "labels"));
    bool deleting = meta_is_deleting(c->owner);
    const char *controller = owner_controller_uid(child);
    if (controller) {
        if (strcmp(controller, meta_uid(c->owner)) != 0)
            return FATE_STRANGER;
        if (matches)
            return FATE_MINE;
        return deleting ? FATE_STRANGER : FATE_RELEASE;
    }
    if (!matches || deleting || meta_is_deleting(child) || (c->adoptable && !c->adoptable(child)))
        return FATE_STRANGER;
    return FATE_ADOPT;
}

static void settle(struct task *t, struct claim *c, int r) {
    if (r < 0)
        c->result = r;
    if (t->pending == 0)
        c->done(t, c->result);
}

static void on_adopted(struct task *t, const struct client_result *result, void *arg) {
    struct claim *c = arg;
    if (client_ok(result))
        json_append(&c->mine, json_ref(result->object));
    int r = client_errno(result);
    settle(t, c, r == -ENOENT ? 0 : r); /* vanished: nothing to adopt */
}

static void on_released(struct task *t, const struct client_result *result, void *arg) {
    int r = client_errno(result);
    /* Vanished, or replaced by another of the same name (the patch is guarded by uid): released either way. */
    settle(t, arg, r == -ENOENT || r == -EINVAL ? 0 : r);
}

static void patch_child(struct task *t, struct claim *c, const struct json *child, struct json *take_patch,
                        task_answer_fn answer) {
    _cleanup_json_ struct json *patch = take_patch;
    struct client_request r = {
        .verb = CLIENT_PATCH,
        .resource = c->child_resource,
        .ns = meta_namespace(child),
        .name = meta_name(child),
        .body = patch,
        .patch_type = PATCH_STRATEGIC,
    };
    task_call(t, &r, answer, c);
}

static void perform(struct task *t, struct claim *c) {
    json_unref(c->mine);
    c->mine = json_array();
    for (size_t i = 0; i < json_len(c->candidates); i++) {
        struct json *child = json_at(c->candidates, i);
        switch (fate_of(c, child)) {
        case FATE_STRANGER:
            break;
        case FATE_MINE:
            json_append(&c->mine, json_ref(child));
            break;
        case FATE_ADOPT:
            patch_child(t, c, child, owner_adopt_patch(c->owner, child), on_adopted);
            break;
        case FATE_RELEASE:
            patch_child(t, c, child, owner_release_patch(c->owner, child), on_released);
            break;
        }
    }
    if (t->pending == 0)
        c->done(t, 0);
}

static void on_owner(struct task *t, const struct client_result *result, void *arg) {
    struct claim *c = arg;
    if (!client_ok(result))
        c->done(t, client_errno(result));
    else if (strcmp(meta_uid(result->object), meta_uid(c->owner)) != 0 || meta_is_deleting(result->object))
        c->done(t, -EAGAIN); /* our copy is behind */
    else
        perform(t, c);
}

void claim_begin(struct task *t, struct claim *c, struct json *const *candidates, size_t n) {
    bool adopting = false;
    c->candidates = json_array();
    for (size_t i = 0; i < n; i++) {
        enum fate fate = fate_of(c, candidates[i]);
        adopting |= fate == FATE_ADOPT;
        if (fate != FATE_STRANGER)
            json_append(&c->candidates, json_ref(candidates[i]));
    }
    if (!adopting) {
        perform(t, c);
        return;
    }
    struct client_request r = {
        .verb = CLIENT_GET,
        .resource = c->owner_resource,
        .ns = meta_namespace(c->owner),
        .name = meta_name(c->owner),
    };
    task_call(t, &r, on_owner, c);
}

void claim_finish(struct claim *c) {
    json_unref(c->owner);
    selector_free(c->selector);
    json_unref(c->candidates);
    json_unref(c->mine);
    *c = (struct claim){0};
}
